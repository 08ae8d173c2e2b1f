/** proxy-chain with an identity, a list of hosts and an access log: `proxy-chain-server.ts PORT RULES LOG`. */
import { createWriteStream } from 'node:fs';
import { RequestError, Server } from 'proxy-chain';
import { hosts, IDENTITY, IDENTITY_HEADER } from './peer.ts';

const [port, rules, file] = process.argv.slice(2) as [string, string, string];
const permitted = new Set(hosts(Number(rules)));
const log = createWriteStream(file);

const server = new Server({
  host: '127.0.0.1',
  port: Number(port),
  prepareRequestFunction({ request, hostname, port: to }) {
    const known = request.headers[IDENTITY_HEADER.toLowerCase()] === IDENTITY;
    const pass = known && permitted.has(hostname);
    const verb = request.method;
    log.write(
      `${new Date().toISOString()} ${request.socket.remoteAddress} ${verb} ${hostname}:${to} ${pass}\n`,
    );
    if (!pass) throw new RequestError('not permitted', 403);
    return {};
  },
});
await server.listen();
