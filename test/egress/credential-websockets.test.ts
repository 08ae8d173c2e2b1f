import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ProxyAgent, WebSocket as UndiciWebSocket } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import { createCertificates } from '../support/certificates.ts';
import { run } from '../support/clients.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { openSession } from '../support/intercept-gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';

const MASK = '*'.repeat(TOKEN.length);
const certificates = createCertificates('api.localhost', 'open.localhost');
const server: Server = createServer({ cert: certificates.cert, key: certificates.key });
/** Takes the token only, would compress, and says what it was sent in every way that there is. */
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: { threshold: 0 },
  verifyClient: ({ req }, done) => done(req.headers.authorization === `token ${TOKEN}`, 401),
});
let gateway: TestGateway;
let authority: string;
let caFile: string;

before(async () => {
  sockets.on('headers', (lines) => lines.push(`X-Echo: ${TOKEN}`));
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => {
      if (String(data) === 'close') return socket.close(1000, `you sent ${TOKEN}`);
      socket.send(`${data}: ${TOKEN}`);
      socket.send(Buffer.from(TOKEN));
      const middle = TOKEN.length / 2;
      socket.send(TOKEN.slice(0, middle), { fin: false });
      socket.ping(TOKEN);
      socket.send(TOKEN.slice(middle), { fin: true });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ header: { name: X-Workload, value: { env: WORKLOAD } } }, { basic: { username: fn, password: { env: WORKLOAD } } }] } }
rules:
  - { name: plain, allow: [fn], to: [api.localhost], paths: [/open], methods: [GET], ports: [${port}], addresses: [127.0.0.1], with: c, intercept: true }
credentials: { c: { for: api.localhost, header: { Authorization: ["token ", { env: TOKEN }] }, tls: { ca: { file: ca.pem } } } }
`,
    { env: { TOKEN, WORKLOAD: 'sesame' }, files: { 'ca.pem': certificates.ca.toString() } },
  );
  authority = `api.localhost:${port}`;
  caFile = join(gateway.dir, 'var', 'intercept-ca.crt');
});

after(async () => {
  await gateway.stop();
  for (const client of sockets.clients) client.terminate();
  server.close();
});

/** What comes until a message that only the end of all is. */
async function talk(
  socket: WebSocket,
): Promise<{ messages: string[]; pings: string[]; closed: string }> {
  const messages: string[] = [];
  const pings: string[] = [];
  socket.on('message', (data) => messages.push(String(data)));
  socket.on('ping', (data) => pings.push(String(data)));
  await once(socket, 'open');
  socket.send('hello');
  while (messages.length < 3) await once(socket, 'message');
  socket.send('close');
  const [, reason] = await once(socket, 'close');
  return { messages, pings, closed: String(reason) };
}

const SAID = {
  messages: [`hello: ${MASK}`, MASK, MASK],
  pings: [MASK],
  closed: `you sent ${MASK}`,
};

test('a WebSocket by ws:// gets its token on the way and is told none, in clear nor in pieces', async () => {
  let accepted = '';
  const socket = new WebSocket(`ws://${authority}/open`, {
    createConnection: () => connect(gateway.port, '127.0.0.1'),
    headers: { 'X-Workload': 'sesame', Authorization: 'token of-the-client' },
    finishRequest: (request) => {
      request.path = `http://${authority}/open`;
      request.end();
    },
  });
  socket.on('upgrade', ({ headers }) => {
    accepted = JSON.stringify(headers);
  });
  assert.deepEqual(await talk(socket), SAID);
  assert.match(accepted, new RegExp(`"x-echo":"\\*{${TOKEN.length}}"`));
  assert.doesNotMatch(accepted, /extensions/);
  const { outcome, credential } = await gateway.outcome(({ path }) => path === '/open');
  assert.deepEqual([outcome.status, outcome.error, credential?.name], [101, null, 'c']);
  assert.ok(outcome.bytesUp > 0 && outcome.bytesDown > 0);
});

test('a WebSocket by wss:// gets it within TLS that the gateway opens', async () => {
  const ca = readFileSync(caFile, 'utf8');
  const secure = await openSession({ port: gateway.port, authority, ca });
  const socket = new WebSocket(`wss://${authority}/open`, { createConnection: () => secure });
  assert.deepEqual(await talk(socket), SAID);
});

test("undici's WebSocket, which is Node's own, reaches it through the proxy", async (t) => {
  const dispatcher = new ProxyAgent({
    uri: gateway.proxyUrl,
    headers: { 'x-workload': 'sesame' },
    requestTls: { ca: readFileSync(caFile, 'utf8') },
  });
  t.after(() => dispatcher.close());
  const socket = new UndiciWebSocket(`wss://${authority}/open`, { dispatcher });
  await once(socket, 'open');
  socket.send('hello');
  const [{ data }] = await once(socket, 'message');
  assert.equal(data, `hello: ${MASK}`);
  socket.send('close');
  const [{ reason }] = await once(socket, 'close');
  assert.equal(reason, SAID.closed);
});

const PYTHON_CLIENT = `
import sys, websocket
port, url, ca = sys.argv[1:]
socket = websocket.create_connection(url, http_proxy_host='127.0.0.1', http_proxy_port=int(port),
    http_proxy_auth=('fn', 'sesame'), sslopt={'ca_certs': ca})
socket.send('hello')
print(socket.recv(), socket.recv().decode(), socket.recv())
socket.close()
`;

test('websocket-client of Python reaches it through the proxy', {
  skip: needs('python3-websocket'),
}, async () => {
  const args = ['-c', PYTHON_CLIENT, String(gateway.port), `wss://${authority}/open`, caFile];
  const { stdout, stderr } = await run(PYTHON, args);
  assert.deepEqual([stderr, stdout], ['', `hello: ${MASK} ${MASK} ${MASK}\n`]);
});

test('a WebSocket to a path that no rule names gets no token', async () => {
  const ca = readFileSync(caFile, 'utf8');
  const secure = await openSession({ port: gateway.port, authority, ca });
  const socket = new WebSocket(`wss://${authority}/other`, { createConnection: () => secure });
  const [error] = (await once(socket, 'error')) as unknown as [Error];
  assert.match(error.message, /403/);
});
