import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createCertificates } from '../support/certificates.ts';
import { RawClient, run, statusOf } from '../support/clients.ts';
import { type DnsServer, queriesFor, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';
import {
  type RawUpstream,
  startHttpsUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';

const certificates = createCertificates('good.com', 'neighbour.com');
let secure: Upstream;
let echo: RawUpstream;
let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  secure = await startHttpsUpstream(certificates);
  echo = await startRawUpstream((socket) => socket.pipe(socket));
  dns = await startDns({
    'good.com': ['127.0.0.1'],
    'raw.com': ['127.0.0.1'],
    'neighbour.com': ['127.0.0.1'],
  });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", timeouts: { idle: 2s } } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: good, allow: [local], to: [good.com], ports: [${secure.port}, ${echo.port}], addresses: [127.0.0.1] }
  - { name: raw, allow: [local], to: [raw.com], ports: [${echo.port}], addresses: [127.0.0.1], tls: off }
  - { name: literal, allow: [local], to: [127.0.0.1], ports: [${secure.port}] }
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
  await echo.close();
  await secure.close();
});

async function tunnelTo(host: string, port: number, early = ''): Promise<RawClient> {
  const client = new RawClient(gateway.port);
  client.send(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n${early}`);
  assert.equal(statusOf(await client.until(/\r\n\r\n/)), 200);
  return client;
}

test('TLS to the neighbour of an allowed host is ended by an alert before a byte reaches it', async () => {
  const seen = secure.requests.length;
  const client = await tunnelTo('good.com', secure.port);
  const socket = connectTls({
    socket: client.socket,
    servername: 'neighbour.com',
    ca: certificates.ca,
  });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
    socket.once('error', resolve),
  );
  assert.match(`${error.code} ${error.message}`, /access.denied/i);
  const outcome = await gateway.outcome((event) => event.decision?.reason === 'sni-mismatch');
  assert.equal(outcome.tls?.sni, 'neighbour.com');
  assert.deepEqual(
    gateway.decisions(outcome.id).map(({ decision }) => `${decision?.stage} ${decision?.reason}`),
    ['address rule-allow', 'hello sni-mismatch'],
  );
  assert.equal(outcome.outcome.bytesUp, 0);
  assert.equal(secure.requests.length, seen);
});

test("OpenSSL's and Python's clients report access denied", {
  skip: needs('python3'),
}, async () => {
  const script = `
import socket, ssl, sys
s = socket.create_connection(('127.0.0.1', ${gateway.port}))
s.sendall(b'CONNECT good.com:${secure.port} HTTP/1.1\\r\\nHost: good.com:${secure.port}\\r\\n\\r\\n')
s.recv(4096)
try:
    ssl._create_unverified_context().wrap_socket(s, server_hostname='neighbour.com')
except ssl.SSLError as error:
    print(error)
`;
  assert.match((await run(PYTHON, ['-c', script])).stdout, /access denied/i);
  const args = [
    's_client',
    '-proxy',
    `127.0.0.1:${gateway.port}`,
    '-connect',
    `good.com:${secure.port}`,
  ];
  const { stderr } = await run('openssl', [...args, '-servername', 'neighbour.com'], { input: '' });
  assert.match(stderr, /access denied/i);
});

test('a TLS client without SNI is not let through to a name', async () => {
  const client = await tunnelTo('good.com', secure.port);
  const socket = connectTls({ socket: client.socket, ca: certificates.ca });
  const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
  assert.match(`${error.message}`, /access.denied/i);
});

test('an IP destination takes TLS without SNI', async () => {
  const client = await tunnelTo('127.0.0.1', secure.port);
  const socket = connectTls({
    socket: client.socket,
    ca: certificates.ca,
    checkServerIdentity: () => undefined,
  });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  socket.destroy();
});

test('bytes that are no TLS end the tunnel and never arrive', async () => {
  const seen = echo.received.length;
  const client = await tunnelTo('good.com', echo.port, 'GET / HTTP/1.1\r\nHost: good.com\r\n\r\n');
  assert.match(await client.all(), /^HTTP\/1\.1 200 [^\r]*\r\n\r\n$/);
  await gateway.outcome((event) => event.decision?.reason === 'protocol-mismatch');
  assert.equal(Buffer.concat(echo.received.slice(seen)).length, 0);
});

test('with `tls: off` early bytes and a half-close pass both ways, once', async () => {
  const client = await tunnelTo('raw.com', echo.port, 'early ');
  client.send('late');
  await client.until(/early late$/);
  client.socket.end(' last');
  const all = await client.all();
  assert.match(all, /\r\n\r\nearly late last$/);
  const outcome = await gateway.outcome((event) => event.destination === `raw.com:${echo.port}`);
  assert.deepEqual(
    [outcome.outcome.error, outcome.outcome.bytesUp, outcome.outcome.bytesDown],
    [null, 'early late last'.length, 'early late last'.length],
  );
});

test('bytes that follow a refused CONNECT are dropped', async () => {
  const seen = echo.received.length;
  const client = new RawClient(gateway.port);
  client.send(
    `CONNECT bad.com:${echo.port} HTTP/1.1\r\nHost: bad.com:${echo.port}\r\n\r\nsmuggled`,
  );
  assert.match(await client.all(), /^HTTP\/1\.1 403 /);
  assert.equal(echo.received.length, seen);
  assert.equal(queriesFor(dns, 'bad.com'), 0, 'a denied name is never looked up');
});

test('an idle tunnel is ended and the record says why', async () => {
  const client = await tunnelTo('raw.com', echo.port);
  await client.all();
  await gateway.outcome((event) => event.outcome.error === 'idle-timeout');
});

test('a name that resolves elsewhere the second time is dialled where it was decided on', async () => {
  dns.set('raw.com', ['127.0.0.1']);
  const before = queriesFor(dns, 'raw.com');
  const client = await tunnelTo('raw.com', echo.port, 'x');
  await client.until(/x$/);
  client.close();
  // The answer is taken once: for the decision and for the dial.
  assert.ok(queriesFor(dns, 'raw.com') - before <= 2, 'one query a family at most');
});

test('a gateway is never its own destination, by any name or address', async () => {
  const looping = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: all, allow: [local], to: ["*", 127.0.0.1], ports: ["1-65535"], addresses: [127.0.0.1] }]
`);
  try {
    const admin = looping.gateway.admin.port;
    for (const port of [looping.port, admin]) {
      for (const host of ['127.0.0.1', 'localhost', 'me.localhost']) {
        const client = new RawClient(looping.port).send(
          `GET http://${host}:${port}/ HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`,
        );
        assert.match(
          await client.until(/\r\n\r\n/),
          /^HTTP\/1\.1 403 Forbidden: (?:loop|address-forbidden)/,
        );
        client.close();
      }
    }
  } finally {
    await looping.stop();
  }
});
