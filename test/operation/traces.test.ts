import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exchangeTime } from '../../src/core/exchange-id.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { type CollectedSpan, type Collector, startCollector } from '../support/collector.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { freePort } from '../support/servers.ts';
import {
  type RawUpstream,
  startHttpUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const SAMPLED = `00-${TRACE}-${PARENT}-01`;
const UNSAMPLED = `00-${TRACE}-${PARENT}-00`;
const STATE = 'vendor=hunter2,other=1';

let upstream: Upstream;
let echo: RawUpstream;
let collector: Collector;

before(async () => {
  upstream = await startHttpUpstream();
  echo = await startRawUpstream((socket) => socket.pipe(socket));
});

after(async () => {
  await upstream.close();
  await echo.close();
});

async function start(url: string | undefined, more = ''): Promise<TestGateway> {
  const traces = url === undefined ? '' : `traces: { otlp: { url: "${url}"${more} } }\n`;
  return startTestGateway(
    `${traces}gateway: { name: tokyo-1 }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ header: { name: X-Id, value: { env: ID } } }] } }
exits: { fixed: { localAddress: 127.0.0.1 } }
rules:
  - { name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1], via: fixed }
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${echo.port}], addresses: [127.0.0.1], tls: off }
`,
    { env: { ID: 'open-sesame', KEY: 'the-collectors-key' } },
  );
}

async function ask(
  { port }: TestGateway,
  fields: readonly string[] = [],
  host = 'api.localhost',
): Promise<number> {
  const authority = `${host}:${upstream.port}`;
  const client = new RawClient(port);
  const lines = [`Host: ${authority}`, 'X-Id: open-sesame', ...fields].join('\r\n');
  client.send(`GET http://${authority}/path?token=hunter2 HTTP/1.1\r\n${lines}\r\n\r\n`);
  const status = statusOf(await client.until(/\r\n\r\n/));
  client.close();
  return status;
}

/** Stops the gateway, which exports what is left. */
async function collect(gateway: TestGateway): Promise<readonly CollectedSpan[]> {
  await gateway.outcome();
  await gateway.gateway.stop({ notice: false });
  return collector.spans;
}

async function withCollector(t: { after(done: () => Promise<void>): void }): Promise<void> {
  collector = await startCollector();
  t.after(() => collector.close());
}

test('a request is a span below the one that it names, and goes on as the parent of what follows', async (t) => {
  await withCollector(t);
  const gateway = await start(collector.url);
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway, [`traceparent: ${SAMPLED}`, `tracestate: ${STATE}`]), 200);
  const [span] = await collect(gateway);
  assert.ok(span);
  const { headers } = upstream.requests.at(-1) ?? {};
  assert.equal(headers?.traceparent, `00-${TRACE}-${span.spanId}-01`);
  assert.equal(headers?.tracestate, STATE);
  const { id, outcome } = await gateway.outcome();
  assert.deepEqual(
    { ...span, start: undefined, end: undefined, spanId: undefined, resource: undefined },
    {
      traceId: TRACE,
      spanId: undefined,
      parentSpanId: PARENT,
      name: 'GET',
      // SERVER
      kind: 2,
      start: undefined,
      end: undefined,
      attributes: {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'server.address': 'api.localhost',
        'server.port': upstream.port,
        'network.peer.address': '127.0.0.1',
        'sekisho.exchange': id,
        'sekisho.listener': 'egress',
        'sekisho.principal': 'local',
        'sekisho.decision.effect': 'allow',
        'sekisho.decision.reason': 'rule-allow',
        'sekisho.decision.mode': 'enforce',
        'sekisho.decision.stage': 'address',
        'sekisho.rule': 'api',
        'sekisho.exit': 'fixed',
        'sekisho.bytes.up': 0,
        'sekisho.bytes.down': 5,
      },
      events: ['decide', 'resolve', 'record', 'open', 'answer'],
      status: { code: 0, message: '' },
      resource: undefined,
    },
  );
  assert.equal(span.resource['service.name'], 'sekisho');
  assert.equal(span.resource['service.instance.id'], 'tokyo-1');
  assert.equal(span.start, BigInt(exchangeTime(id)) * 1_000_000n);
  const took = Number(span.end - span.start) / 1e6;
  assert.ok(Math.abs(took - outcome.durationMs) < 0.1, `${took} is not ${outcome.durationMs}`);
});

test('a tunnel is a span below the one that its CONNECT names', async (t) => {
  await withCollector(t);
  const gateway = await start(collector.url);
  t.after(() => gateway.stop());
  const client = new RawClient(gateway.port);
  const authority = `raw.localhost:${echo.port}`;
  const fields = `Host: ${authority}\r\nX-Id: open-sesame\r\ntraceparent: ${SAMPLED}`;
  client.send(`CONNECT ${authority} HTTP/1.1\r\n${fields}\r\n\r\n`);
  await client.until(/\r\n\r\n/);
  client.send('over and out');
  await client.until(/over and out/);
  client.socket.end();
  await client.all();
  const [span] = await collect(gateway);
  assert.equal(span?.name, 'CONNECT');
  assert.deepEqual([span?.traceId, span?.parentSpanId], [TRACE, PARENT]);
  assert.equal(span?.attributes['sekisho.bytes.up'], 12);
  assert.equal(span?.attributes['sekisho.rule'], 'raw');
  assert.ok(!('sekisho.exit' in (span?.attributes ?? {})));
  assert.equal(echo.received.at(-1)?.toString(), 'over and out', 'nothing is added to a tunnel');
});

test('a refusal is no error, trouble on the way out is one', async (t) => {
  await withCollector(t);
  const gateway = await start(collector.url);
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway, [], 'other.localhost'), 403);
  const authority = `raw.localhost:${echo.port}`;
  const client = new RawClient(gateway.port);
  client.send(
    `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Id: open-sesame\r\n\r\n`,
  );
  assert.match(await client.until(/help/), / 502 /);
  client.close();
  await gateway.outcome(({ outcome }) => outcome.error !== null);
  const [refused, failed] = await collect(gateway);
  assert.deepEqual(refused?.status, { code: 0, message: '' });
  assert.equal(refused?.attributes['sekisho.decision.reason'], 'no-matching-rule');
  assert.equal(refused?.attributes['http.response.status_code'], 403);
  assert.deepEqual(failed?.status, { code: 2, message: 'upstream-reset' });
  assert.equal(failed?.attributes['error.type'], 'upstream-reset');
});

for (const fields of [
  [],
  ['traceparent: nonsense'],
  [`traceparent: ${SAMPLED}`, `traceparent: ${SAMPLED}`],
]) {
  test(`a trace begins anew with ${fields.join(' and ') || 'no traceparent'}, without foreign state`, async (t) => {
    await withCollector(t);
    const gateway = await start(collector.url);
    t.after(() => gateway.stop());
    assert.equal(await ask(gateway, [...fields, `tracestate: ${STATE}`]), 200);
    const [span] = await collect(gateway);
    assert.equal(span?.parentSpanId, '');
    assert.notEqual(span?.traceId, TRACE);
    const { headers } = upstream.requests.at(-1) ?? {};
    assert.equal(headers?.traceparent, `00-${span?.traceId}-${span?.spanId}-01`);
    assert.equal(headers?.tracestate, undefined);
  });
}

test('a trace that its client does not record goes on as it came, and has no span', async (t) => {
  await withCollector(t);
  const gateway = await start(collector.url);
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway, [`traceparent: ${UNSAMPLED}`, `tracestate: ${STATE}`]), 200);
  assert.equal((await collect(gateway)).length, 0);
  const { headers } = upstream.requests.at(-1) ?? {};
  assert.deepEqual([headers?.traceparent, headers?.tracestate], [UNSAMPLED, STATE]);
});

test('a trace that the ratio leaves out tells so to whoever comes next', async (t) => {
  await withCollector(t);
  const gateway = await start(collector.url, ', ratio: 0');
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway), 200);
  assert.equal((await collect(gateway)).length, 0);
  const { headers } = upstream.requests.at(-1) ?? {};
  assert.match(String(headers?.traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

test('without traces a request keeps what it came with, whatever that is', async (t) => {
  const gateway = await start(undefined);
  t.after(() => gateway.stop());
  for (const traceparent of [SAMPLED, UNSAMPLED, 'nonsense']) {
    await ask(gateway, [`traceparent: ${traceparent}`, `tracestate: ${STATE}`]);
    const { headers } = upstream.requests.at(-1) ?? {};
    assert.deepEqual([headers?.traceparent, headers?.tracestate], [traceparent, STATE]);
  }
});

test('the collector gets its key, and no secret of an exchange', async (t) => {
  await withCollector(t);
  const gateway = await start(collector.url, ', headers: { Api-Key: { env: KEY } }');
  t.after(() => gateway.stop());
  const secrets = ['Authorization: Bearer hunter2', 'Cookie: s=hunter2', `tracestate: ${STATE}`];
  await ask(gateway, [`traceparent: ${SAMPLED}`, ...secrets]);
  await ask(gateway, secrets, 'other.localhost');
  await gateway.outcome(({ decision }) => decision?.effect === 'deny');
  const spans = await collect(gateway);
  assert.equal(spans.length, 2);
  assert.equal(collector.requests[0]?.['api-key'], 'the-collectors-key');
  const told = JSON.stringify(spans, (_, value) => (typeof value === 'bigint' ? '' : value));
  assert.doesNotMatch(told, /hunter2|open-sesame|the-collectors-key|\/path/);
  assert.doesNotMatch(gateway.log(), /the-collectors-key/);
});

for (const status of [429, 502, 503, 504]) {
  test(`an export that is answered ${status} with Retry-After comes again`, async (t) => {
    await withCollector(t);
    collector.answer({ status, headers: { 'retry-after': '0' } });
    const gateway = await start(collector.url);
    t.after(() => gateway.stop());
    await ask(gateway);
    await collector.asked(1);
    collector.answer({ status: 200 });
    await collector.span(() => true);
    await gateway.metric('sekisho_trace_spans_exported_total', 1);
    assert.doesNotMatch(gateway.log(), /traces cannot be exported/);
  });
}

test('spans that the collector refuses are lost, which is told once and counted', async (t) => {
  await withCollector(t);
  collector.answer({ status: 400 });
  const gateway = await start(collector.url);
  t.after(() => gateway.stop());
  for (let failures = 1; failures <= 2; failures++) {
    assert.equal(await ask(gateway), 200);
    await gateway.metric('sekisho_trace_export_failures_total', failures);
  }
  await gateway.metric('sekisho_trace_spans_lost_total{why="failed"}', 2);
  collector.answer({ status: 200 });
  await ask(gateway);
  await collector.span(() => true);
  await gateway.metric('sekisho_trace_spans_exported_total', 1);
  const lines = gateway.log().split('\n');
  assert.equal(lines.filter((line) => line.includes('traces cannot be exported')).length, 1);
  assert.equal(lines.filter((line) => line.includes('traces are exported again')).length, 1);
});

test('a collector that is down holds up nobody, and gets what comes once it is up', async (t) => {
  const port = await freePort();
  const gateway = await start(`http://127.0.0.1:${port}`);
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway), 200);
  await gateway.metric('sekisho_trace_export_failures_total', 1);
  assert.match(gateway.log(), /"code":"ECONNREFUSED".*traces cannot be exported/);
  collector = await startCollector(port);
  t.after(() => collector.close());
  assert.equal(await ask(gateway), 200);
  await collector.span(() => true);
});

test('a collector that never answers holds up neither exchanges nor, for long, the end', async (t) => {
  await withCollector(t);
  collector.answer('silence');
  const gateway = await start(collector.url);
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway), 200);
  await collector.asked(1);
  assert.equal(await ask(gateway), 200);
  assert.equal((await collect(gateway)).length, 0);
  assert.match(gateway.log(), /spans that no collector took|traces cannot be exported/);
});

test('every worker exports what it served, the last of it as the gateway ends', async (t) => {
  await withCollector(t);
  const gateway = await startGatewayProcess(
    t,
    `gateway: { workers: 2 }
traces: { otlp: { url: "${collector.url}", headers: { Api-Key: { file: key.txt } } } }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
`,
    { files: { 'key.txt': 'the-collectors-key\n' } },
  );
  const REQUESTS = 40;
  for (let i = 0; i < REQUESTS; i++) {
    const client = new RawClient(gateway.port);
    client.send('GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n');
    assert.equal(statusOf(await client.until(/\r\n\r\n/)), 407);
    client.close();
  }
  gateway.child.kill('SIGINT');
  assert.deepEqual(await gateway.exited, [0, null]);
  assert.equal(collector.spans.length, REQUESTS);
  assert.ok(new Set(collector.spans.map(({ resource }) => resource['process.pid'])).size === 2);
  assert.ok(collector.requests.every((headers) => headers['api-key'] === 'the-collectors-key'));
});
