import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AuditEvent, DecisionEvent, OutcomeEvent } from '../../src/audit/event.ts';
import { extension, hello, serverName, vector } from '../support/client-hello.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type RawUpstream, startRawUpstream } from '../support/upstreams.ts';
import { ask, head, WAYS } from '../support/ways.ts';

let dns: DnsServer;
let sink: RawUpstream;
let broken: RawUpstream;
let gateway: TestGateway;

before(async () => {
  dns = await startDns({ 'good.com': ['127.0.0.1'], 'inside.com': ['10.20.30.40'] });
  sink = await startRawUpstream((socket) => socket.once('end', () => socket.end()));
  broken = await startRawUpstream((socket) => socket.once('data', () => socket.destroy()));
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"], contact: network-team@example.com }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  alice: { identify: [{ header: { name: X-Alice, value: { literal: alice-secret } } }] }
rules:
  - { name: good, allow: [alice], to: [good.com], ports: [1, ${sink.port}, ${broken.port}], addresses: [127.0.0.1] }
  - { name: inside, allow: [alice], to: [inside.com] }
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
  await sink.close();
  await broken.close();
});

const ALICE = 'X-Alice: alice-secret';

/** Controls, format characters (bidirectional overrides, zero widths), separators of lines: what a terminal acts upon. */
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

type ExchangeEvent = DecisionEvent | OutcomeEvent;

/** What the record says of exchanges. Each line is checked to be one JSON object of printable characters. */
async function lines(): Promise<ExchangeEvent[]> {
  const text = await gateway.recorded();
  assert.equal(UNPRINTABLE.exec(text)?.[0], undefined);
  assert.ok(text.endsWith('\n'));
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter((event) => event.type === 'decision' || event.type === 'outcome');
}

/** What makes a line two, a terminal act, or a reader read on: as it could stand in a request. */
const HOSTILE = [
  '\n{"type":"outcome"}',
  '\r\n\r\n',
  '\x1b[2J\x1b]0;owned\x07',
  '\x9b31m',
  '\0',
  '\x7f',
  '\b\b\b',
  '"},{"',
  '\\u0000\\"',
  '\u2028\u2029',
  '\u202egnp.exe',
  '\ufeff',
  '%0a%1b',
  '\xff\xfe',
  "'; --",
  '<script>',
];
const onTheWire = (text: string) => Buffer.from(text).toString('latin1');

test('whatever stands in host, path, method or header, each line is one JSON object and printable', async (t) => {
  for (const [i, text] of HOSTILE.entries()) {
    await t.test(JSON.stringify(text), async () => {
      const bytes = onTheWire(text);
      const requests = [
        `CONNECT ${bytes}.com:443 HTTP/1.1\r\nHost: ${bytes}.com:443\r\n${ALICE}\r\n\r\n`,
        `GET http://good.com${bytes}:1/ HTTP/1.1\r\nHost: good.com${bytes}:1\r\n${ALICE}\r\n\r\n`,
        `GET http://good.com:1/${bytes} HTTP/1.1\r\nHost: good.com:1\r\n${ALICE}\r\n\r\n`,
        `GE${bytes}T http://good.com:1/ HTTP/1.1\r\nHost: good.com:1\r\n${ALICE}\r\n\r\n`,
        `GET http://good.com:1/ HTTP/1.1\r\nHost: ${bytes}\r\n${ALICE}\r\n\r\n`,
        `GET http://good.com:1/ HTTP/1.1\r\nHost: good.com:1\r\nX: ${bytes}\r\n${ALICE}\r\n\r\n`,
        `GET http://good.com:1/ HTTP/1.1\r\nHost: good.com:1\r\nX-Alice: ${bytes}\r\n\r\n`,
      ];
      // A client of its own: beyond a burst, refusals of one client are counted instead of written.
      const from = `127.0.1.${i + 1}`;
      for (const request of requests) {
        const client = new RawClient(gateway.port, { localAddress: from }).send(request);
        client.socket.end();
        const answer = await client.all();
        assert.ok([400, 403, 407, 502].includes(statusOf(answer)), answer);
        assert.match(answer, /^[\x20-\x7e\r\n]*$/, 'nothing of it comes back as it is');
        await gateway.outcome((event) => event.client === `${from}:${client.localPort}`);
      }
      const own = (await lines()).filter(({ client }) => client.startsWith(`${from}:`));
      // Where the bytes end a head, what follows them is another request.
      assert.ok(own.filter(({ type }) => type === 'outcome').length >= requests.length);
    });
  }
});

test('hostile bytes in a ClientHello are recorded as text', async () => {
  const protocols = HOSTILE.map((text) => Buffer.from(text)).filter((bytes) => bytes.length < 256);
  const alpn = extension(16, vector(2, ...protocols.map((bytes) => vector(1, bytes))));
  const names = ['good.com', '"},{"', '\\u001b', '<script>', '%0a%1b'];
  for (const name of names) {
    const client = new RawClient(gateway.port);
    client.send(head('CONNECT', `good.com:${sink.port}`, 'good.com', [ALICE]));
    await client.until(/\r\n\r\n/);
    client.send(hello(extension(0, vector(2, serverName(name))), alpn));
    client.socket.end();
    await client.all();
    const outcome = await gateway.outcome((event) => event.client.endsWith(`:${client.localPort}`));
    assert.equal(outcome.tls?.sni, name);
    assert.deepEqual(
      outcome.tls?.alpn,
      protocols.map((bytes) => bytes.toString('latin1')),
    );
  }
  await lines();
});

test('no header, credential or query stands in the record or in an answer, and no address inside', async () => {
  const secrets = ['hunter2', 'alice-secret', 'c2VjcmV0', 's3ss10n', 'qu3ry'];
  const headers = [
    'X-Token: hunter2',
    'Authorization: Bearer hunter2',
    'Proxy-Authorization: Basic c2VjcmV0',
    'Cookie: s3ss10n',
    'User-Agent: hunter2',
    'Referer: http://x/?qu3ry',
  ];
  const says: string[] = [];
  for (const accept of ['*/*', 'application/problem+json']) {
    for (const way of WAYS) {
      for (const [host, port] of [
        ['good.com', 1],
        ['denied.com', 80],
        ['inside.com', 80],
        ['127.1', 80],
      ] as const) {
        if (way === 'inside' && port !== 80) continue;
        for (const identity of [[ALICE], ['X-Alice: hunter2'], [], [ALICE, ...headers]]) {
          const wanted = { host, port, headers: [`Accept: ${accept}`, ...identity] };
          says.push(await ask(gateway, way, wanted));
        }
      }
    }
  }
  const query = 'http://good.com:1/path?qu3ry=1';
  const client = new RawClient(gateway.port).send(
    head('GET', query, 'good.com:1', [ALICE, 'Connection: close']),
  );
  says.push(await client.all());
  await gateway.outcome((event) => event.path === '/path');
  const record = await gateway.recorded();
  for (const secret of secrets) {
    assert.ok(!says.join('').includes(secret), `an answer has ${secret}`);
    assert.ok(!record.includes(secret), `the record has ${secret}`);
    assert.ok(!gateway.log().includes(secret), `the log has ${secret}`);
  }
  assert.doesNotMatch(says.join(''), /10\.20\.30\.40|127\.0\.0\.1|ECONN|EINVAL/);
});

test('an allowed request that the destination fails is an allow with an outcome of its own', async (t) => {
  const cases = [
    { name: 'nobody listens', port: 1, error: 'connect-failed', status: 502 },
    { name: 'it breaks the connection', port: broken.port, error: 'upstream-reset', status: 502 },
  ];
  for (const { name, port, error, status } of cases) {
    await t.test(name, async () => {
      const request = head('GET', `http://good.com:${port}/`, `good.com:${port}`, [ALICE]);
      const client = new RawClient(gateway.port).send(request);
      const answer = await client.until(/\r\n\r\n/);
      client.close();
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [^\r]*: ${error} `));
      const event = await gateway.outcome(({ client: from }) =>
        from.endsWith(`:${client.localPort}`),
      );
      assert.deepEqual(
        [event.decision?.effect, event.decision?.reason, event.outcome.error, event.outcome.status],
        ['allow', 'rule-allow', error, status],
      );
      assert.equal(gateway.decisions(event.id).length, 1);
    });
  }
});

test('a connection closed before a byte, or within a head, is counted, not audited', async () => {
  const rejected = (why: string) =>
    `sekisho_connections_rejected_total{listener="egress",rejection="${why}"}`;
  const before = gateway.events.length;
  new RawClient(gateway.port).socket.end();
  await gateway.metric(rejected('closed-before-a-byte'), 1);
  const port = new RawClient(gateway.port);
  port.socket.once('connect', () => port.socket.resetAndDestroy());
  await gateway.metric(rejected('closed-before-a-byte'), 2);
  new RawClient(gateway.port).socket.end('GET http://good.com/ HT');
  await gateway.metric(rejected('closed-within-a-head'), 1);
  assert.equal(gateway.events.length, before);
});

test('a flood of refusals is written up to a burst and counted beyond it; identified clients are written all', async () => {
  const flood = async (from: string, headers: readonly string[]) => {
    for (let i = 0; i < 100; i++)
      await ask(gateway, 'connect', { host: 'denied.com', from, headers });
  };
  await flood('127.0.9.1', []);
  await flood('127.0.9.2', [ALICE]);
  await gateway.metric('sekisho_audit_refusals_suppressed_total', 40);
  const outcomes = (await lines()).filter(({ type }) => type === 'outcome');
  const of = (from: string) =>
    outcomes.filter(({ client }) => client.startsWith(`${from}:`)).length;
  assert.ok(of('127.0.9.1') >= 1 && of('127.0.9.1') < 100, `${of('127.0.9.1')} lines`);
  assert.equal(of('127.0.9.2'), 100);
});

test('every exchange of this file has its decisions, then exactly one outcome', async () => {
  for (const own of Map.groupBy(await lines(), ({ id }) => id).values()) {
    assert.equal(own.at(-1)?.type, 'outcome');
    assert.equal(own.filter(({ type }) => type === 'outcome').length, 1);
    assert.ok(own.length >= 2);
  }
});
