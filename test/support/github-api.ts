/**
 * A GitHub-like API over TLS: takes the right token only, and tells whoever has it what it is, in every encoding.
 *
 *     node github-api.ts ADDRESS FOLDER      (leaf.pem: the certificate with its key; port 443)
 *
 * Prints `listens`, then the status and path of every request.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { TOKEN } from './credential-gateway.ts';
import { ECHOES } from './secret-echoes.ts';

const [, , host, folder = ''] = process.argv;
const pem = readFileSync(join(folder, 'leaf.pem'));

const server = createServer({ cert: pem, key: pem }, (request, response) => {
  const known = request.headers.authorization === `token ${TOKEN}`;
  const status = known ? 200 : 401;
  console.log(`${status} ${request.url}`);
  const told = Object.values(ECHOES).map((encode) => `"${encode(TOKEN)}"`);
  response.writeHead(status, {
    'content-type': 'application/json',
    'set-cookie': known ? [`seen=${TOKEN}`, 'b=2'] : [],
  });
  response.end(known ? `{"login":"octocat","told":[${told}]}` : '{"message":"Bad credentials"}');
});
server.listen({ host, port: 443 }, () => console.log('listens'));
