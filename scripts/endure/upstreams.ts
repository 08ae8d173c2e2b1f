import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Certificates } from '../../test/support/certificates.ts';
import { LARGE_BYTES } from './rough.ts';

/** At any time there is a request under way, for whoever may lose it. */
const LONGEST_ANSWER_MS = 150;

/** The servers behind the gateways. They remember who came. */
export interface Upstreams {
  readonly httpPort: number;
  readonly rawPort: number;
  readonly tlsPort: number;
  /** Every path and every tunnel's host that arrived. */
  readonly seen: ReadonlySet<string>;
  close(): void;
}

/** A server that answers with the path, and two that echo, one of them inside TLS. */
export async function startUpstreams({ cert, key }: Certificates): Promise<Upstreams> {
  const seen = new Set<string>();
  const large = Buffer.alloc(LARGE_BYTES, 'x');
  const http = createServer((request, response) => {
    const { url = '' } = request;
    // As soon as the head is here: what comes of it then is another matter.
    seen.add(url);
    const body = url.startsWith('/large') ? large : url;
    setTimeout(() => response.end(body), randomInt(LONGEST_ANSWER_MS));
  });
  // Kept longer than a gateway keeps them: who closes first decides whether a request is lost.
  http.keepAliveTimeout = 60_000;
  const echo = (socket: Socket) => rememberAndEcho(socket, seen);
  const servers = [
    http,
    createTcpServer({ allowHalfOpen: true }, echo),
    createTlsServer({ cert, key, allowHalfOpen: true }, echo),
  ];
  const [httpPort = 0, rawPort = 0, tlsPort = 0] = await Promise.all(servers.map(listen));
  const open = new Set<Socket>();
  for (const server of servers) {
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    });
  }
  const close = () => {
    for (const server of servers) server.close();
    for (const socket of open) socket.destroy();
  };
  return { httpPort, rawPort, tlsPort, seen, close };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The first line is the name that the tunnel was asked for. */
function rememberAndEcho(socket: Socket, seen: Set<string>): void {
  let line = '';
  const remember = (chunk: Buffer) => {
    line += chunk.toString('latin1');
    const end = line.indexOf('\n');
    if (end < 0) return;
    seen.add(line.slice(0, end));
    socket.off('data', remember);
  };
  socket.on('data', remember);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}
