import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { startHttpUpstream, startRawUpstream, type Upstream } from '../support/upstreams.ts';

const server = createServer((_request, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({ server, path: '/open' });
let gateway: TestGateway;
let plain: Upstream;
let port: number;

before(async () => {
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  plain = await startHttpUpstream();
  gateway = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: ws, allow: [local], to: [ws.localhost], paths: [/open], methods: [GET], ports: [${port}], addresses: [127.0.0.1] }
  - { name: plain, allow: [local], to: [api.localhost], ports: [${plain.port}], addresses: [127.0.0.1] }
`);
});

after(async () => {
  await gateway.stop();
  for (const client of sockets.clients) client.terminate();
  server.close();
  await plain.close();
});

/** A WebSocket whose upgrade request goes to the proxy in absolute form, as a plain HTTP client's does. */
function webSocketTo(path: string): WebSocket {
  return new WebSocket(`ws://ws.localhost:${port}${path}`, {
    createConnection: () => connect(gateway.port, '127.0.0.1'),
    finishRequest: (request) => {
      request.path = `http://ws.localhost:${port}${path}`;
      request.end();
    },
  });
}

test('a WebSocket passes where the rule allows its request', async () => {
  const socket = webSocketTo('/open');
  await once(socket, 'open');
  for (const text of ['one', 'x'.repeat(200_000)]) {
    socket.send(text);
    const [data] = await once(socket, 'message');
    assert.equal(String(data), `echo ${text}`);
  }
  socket.close();
  await once(socket, 'close');
  const outcome = await gateway.outcome((event) => event.path === '/open');
  assert.equal(outcome.outcome.status, 101);
  assert.ok(outcome.outcome.bytesUp > 200_000 && outcome.outcome.bytesDown > 200_000);
});

test('a WebSocket is refused where no rule allows its path', async () => {
  const socket = webSocketTo('/closed');
  const [error] = (await once(socket, 'error')) as unknown as [Error];
  assert.match(error.message, /403/);
});

test('h2c is not passed on: it would carry requests that nobody decided on', async () => {
  const host = `api.localhost:${plain.port}`;
  const client = new RawClient(gateway.port).send(
    `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
  );
  assert.equal(statusOf(await client.until(/hello/)), 200);
  assert.doesNotMatch(JSON.stringify(plain.requests.at(-1)?.rawHeaders), /upgrade|http2/i);
  client.close();
});

test('server-sent events arrive one by one, not in blocks', async () => {
  const events = await startHttpUpstream((_seen, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    next.promise.then(() => response.end('data: 2\n\n'));
  });
  const next = Promise.withResolvers<void>();
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: sse, allow: [local], to: [api.localhost], ports: [${events.port}], addresses: [127.0.0.1] }]
`);
  const host = `api.localhost:${events.port}`;
  const client = new RawClient(own.port).send(
    `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  );
  // The second event is sent only once the first has arrived.
  await client.until(/data: 1/);
  next.resolve();
  await client.until(/data: 2/);
  client.close();
  await own.stop();
  await events.close();
});

test('a client that waits for 100 Continue is told to go on when its destination says nothing', async (t) => {
  const silent = await startRawUpstream((socket) => {
    socket.on('data', (chunk) => {
      if (String(chunk).endsWith('ok'))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
    });
  });
  t.after(() => silent.close());
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${silent.port}], addresses: [127.0.0.1] }]
`);
  t.after(() => own.stop());
  const host = `api.localhost:${silent.port}`;
  const client = new RawClient(own.port).send(
    `POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
  );
  await client.until(/^HTTP\/1\.1 100 /);
  client.send('ok');
  await client.until(/200 OK[\s\S]*done/);
  client.close();
});

test('an upstream that closes before the ClientHello ends the tunnel at once, and the record says who did', async (t) => {
  const raw = await startRawUpstream((socket) => setImmediate(() => socket.resetAndDestroy()));
  t.after(() => raw.close());
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${raw.port}], addresses: [127.0.0.1] }]
`);
  t.after(() => own.stop());
  const authority = `api.localhost:${raw.port}`;
  const client = new RawClient(own.port).send(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
  );
  await client.all();
  assert.equal((await own.outcome()).outcome.error, 'upstream-reset');
});
