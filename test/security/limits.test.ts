import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, suite, test } from 'node:test';
import { createCertificates } from '../support/certificates.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { startHttpUpstream, type Upstream } from '../support/upstreams.ts';

/** Many connections, and connections that say little, slowly or nothing: each is cut by its limit, and counted. */

let upstream: Upstream;
const gateways: TestGateway[] = [];

before(async () => {
  upstream = await startHttpUpstream();
});

after(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await upstream.close();
});

async function gatewayWith(listener: string, tls = false): Promise<TestGateway> {
  const { cert, key } = tls ? createCertificates('localhost') : { cert: '', key: '' };
  const files = 'tls: { certificate: { file: a.crt }, key: { file: a.key } }';
  const gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", ${listener}, ${tls ? files : ''} } }
principals: { local: { identify: [{ clientAddress: [127.0.0.0/8] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`,
    { files: { 'a.crt': String(cert), 'a.key': String(key) } },
  );
  gateways.push(gateway);
  return gateway;
}

function get(): string {
  const host = `api.localhost:${upstream.port}`;
  return `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
}

function rejected(rejection: string): string {
  return `sekisho_connections_rejected_total{listener="egress",rejection="${rejection}"}`;
}

const OPEN = 'sekisho_open_connections{listener="egress"}';

/** Connects and does not speak. */
async function hold(gateway: TestGateway, count: number): Promise<RawClient[]> {
  const clients = Array.from({ length: count }, () => new RawClient(gateway.port));
  await Promise.all(clients.map((client) => once(client.socket, 'connect')));
  return clients;
}

function close(clients: readonly RawClient[]): void {
  for (const client of clients) client.close();
}

suite('connections', { concurrency: true }, () => {
  test('beyond limits.perClient a client is told so and counted, while another one is served', async () => {
    const gateway = await gatewayWith('limits: { connections: 50, perClient: 20 }');
    const held = await hold(gateway, 20);
    await gateway.metric(OPEN, 20);

    const answer = await new RawClient(gateway.port).send(get()).all();
    assert.match(answer, /^HTTP\/1\.1 429 Too Many Requests: limit-exceeded /);
    assert.match(answer, /limits\.perClient of the listener egress is 20/);
    await gateway.metric(rejected('too-many-from-client'), 1);
    const { decision, client } = await gateway.outcome();
    assert.deepEqual(
      [decision?.effect, decision?.reason, decision?.stage],
      ['deny', 'limit-exceeded', 'accept'],
    );
    assert.match(client, /^127\.0\.0\.1:/);

    const other = new RawClient(gateway.port, { localAddress: '127.0.0.2' }).send(get());
    assert.equal(statusOf(await other.until(/hello/)), 200);
    close([...held, other]);
  });

  test('beyond limits.connections everybody is told so, until one of them leaves', async () => {
    const gateway = await gatewayWith('limits: { connections: 10 }');
    const held = await hold(gateway, 10);
    await gateway.metric(OPEN, 10);
    const place = { localAddress: '127.0.0.2' };
    const answer = await new RawClient(gateway.port, place).send(get()).all();
    assert.match(answer, /limits\.connections of the listener egress is 10/);
    await gateway.metric(rejected('too-many-connections'), 1);

    held.pop()?.close();
    await gateway.metric(rejected('closed-before-a-byte'), 1);
    const other = new RawClient(gateway.port, place).send(get());
    assert.equal(statusOf(await other.until(/hello/)), 200);
    close([...held, other]);
  });

  test('those who are to be told hold no more than 64 connections', async () => {
    const gateway = await gatewayWith('limits: { connections: 1 }');
    const held = await hold(gateway, 65);
    await gateway.metric(rejected('too-many-connections'), 64);
    assert.equal(await new RawClient(gateway.port).send(get()).all(), '');
    await gateway.metric(rejected('too-many-connections'), 65);
    close(held);
  });

  test('a storm of them does not fill the record', async () => {
    const gateway = await gatewayWith('limits: { connections: 1 }');
    const held = await hold(gateway, 1);
    await gateway.metric(OPEN, 1);
    for (let n = 0; n < 70; n++) {
      assert.equal(statusOf(await new RawClient(gateway.port).send(get()).all()), 429);
    }
    await gateway.metric('sekisho_audit_refusals_suppressed_total', 10);
    assert.equal(gateway.events.filter((event) => event.type === 'decision').length, 60);
    close(held);
  });

  test('all addresses of an IPv6 network of 64 bits are one client', async () => {
    const gateway = await gatewayWith(
      'proxyProtocol: { from: [127.0.0.1] }, limits: { perClient: 2 }',
    );
    const clients = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1'].map((ip) =>
      new RawClient(gateway.port).send(`PROXY TCP6 ${ip} 2001:db8::ff 4711 3128\r\n`),
    );
    await gateway.metric(rejected('too-many-from-client'), 1);
    await gateway.metric(OPEN, 3);
    close(clients);
  });

  test('on a listener with TLS what is beyond a limit is closed without a handshake', async () => {
    const gateway = await gatewayWith('limits: { connections: 1 }', true);
    const held = await hold(gateway, 1);
    await gateway.metric(OPEN, 1);
    assert.equal(await new RawClient(gateway.port).all(), '');
    await gateway.metric(rejected('too-many-connections'), 1);
    close(held);
  });
});

suite('heads', { concurrency: true }, () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await gatewayWith(
      'limits: { head: 2KiB }, timeouts: { head: 500ms, idle: 1h }, proxyProtocol: { from: [127.0.0.9] }',
    );
  });

  /** Sends a byte every few milliseconds until the gateway has had enough. */
  async function drip(client: RawClient, byte: string): Promise<string> {
    const timer = setInterval(() => client.send(byte), 20);
    const answer = await client.all();
    clearInterval(timer);
    return answer;
  }

  test('a head longer than limits.head is refused before it has ended', async () => {
    const head = `${get().slice(0, -2)}X: ${'a'.repeat(2100)}`;
    const answer = await new RawClient(gateway.port).send(head).all();
    assert.match(answer, /^HTTP\/1\.1 400 .*request-invalid/);
    assert.match(answer, /2048 bytes/);
  });

  test('a head of exactly limits.head is served', async () => {
    const start = `${get().slice(0, -2)}X: `;
    const head = `${start}${'a'.repeat(2048 - start.length - 4)}\r\n\r\n`;
    const client = new RawClient(gateway.port).send(head);
    assert.equal(statusOf(await client.until(/hello/)), 200);
    client.close();
  });

  test('who has been served may be silent for timeouts.idle', async () => {
    const client = new RawClient(gateway.port).send(get());
    await client.until(/hello/);
    // This takes as long as a first head may.
    assert.equal(await new RawClient(gateway.port).all(), '');
    client.send(get());
    await client.times('HTTP/1.1 200', 2);
    client.close();
  });

  test('who leaves without a request is counted, whether by FIN or by RST', async () => {
    const [finished, reset, halfway] = (await hold(gateway, 3)) as [
      RawClient,
      RawClient,
      RawClient,
    ];
    finished.socket.end();
    reset.socket.resetAndDestroy();
    halfway.socket.end('GET http://api');
    await gateway.metric(rejected('closed-before-a-byte'), 2);
    await gateway.metric(rejected('closed-within-a-head'), 1);
    close([finished, halfway]);
  });

  test('a PROXY header that drips is cut after timeouts.head', async () => {
    const client = new RawClient(gateway.port, { localAddress: '127.0.0.9' });
    assert.equal(await drip(client.send('PROXY TCP4 1'), '1'), '');
    await gateway.metric(rejected('proxy-header-invalid'), 1);
  });

  test('a TLS handshake that drips is cut after timeouts.head', async () => {
    const secure = await gatewayWith('timeouts: { head: 500ms }', true);
    const client = new RawClient(secure.port).send('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03');
    assert.equal(await drip(client, '\x00'), '');
    await secure.metric(rejected('tls-handshake-failed'), 1);
  });
});
