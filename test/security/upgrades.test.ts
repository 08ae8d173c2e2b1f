import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needsPort80, onPort80, type RawUpstream, startRawUpstream } from '../support/upstreams.ts';
import { head, WAYS, type Way } from '../support/ways.ts';

const skip = needsPort80();
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const KEEP = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const WEBSOCKET = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];

let upstream: RawUpstream;
/** What the destination says to each head that it sees whole. */
let answer: string;
let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  if (skip !== false) return;
  const place = onPort80();
  upstream = await startRawUpstream((socket) => {
    let seen = '';
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
      for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
        seen = seen.slice(end + 4);
        socket.write(answer);
      }
    });
    socket.once('end', () => socket.end());
  }, place);
  dns = await startDns({ 'good.com': [place.host] });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: good, allow: [local], to: [good.com], methods: [GET], paths: [/open/**], addresses: [${place.host}] }]
`);
});

after(async () => {
  if (skip !== false) return;
  await gateway.stop();
  await dns.close();
  await upstream.close();
});

const READABLE: readonly Way[] = WAYS.filter((way) => way !== 'connect');

function opening(way: Way): string {
  return way === 'inside' ? head('CONNECT', 'good.com:80', 'good.com:80', []) : '';
}

function get(way: Way, path: string, lines: readonly string[] = []): string {
  return head('GET', way === 'absolute' ? `http://good.com${path}` : path, 'good.com', lines);
}

/** Begins to note what reaches the destination, on connections old and new; gives it as text. */
function watch(): () => string {
  const before = upstream.received.map(({ length }) => length);
  const since = (bytes: Buffer, i: number) => bytes.subarray(before[i] ?? 0);
  return () => Buffer.concat(upstream.received.map(since)).toString('latin1');
}

test('bytes behind a request to upgrade wait for the answer: without an upgrade they are requests, each decided on', {
  skip,
}, async (t) => {
  answer = KEEP;
  for (const way of READABLE) {
    await t.test(way, async () => {
      const arrived = watch();
      const client = new RawClient(gateway.port).send(
        opening(way) +
          get(way, '/open/socket', WEBSOCKET) +
          get(way, '/closed/smuggled') +
          get(way, '/open/last', ['Connection: close']),
      );
      const text = await client.all();
      assert.deepEqual(text.match(/HTTP\/1\.1 \d{3} (?!Connection established)/g), [
        'HTTP/1.1 200 ',
        'HTTP/1.1 403 ',
        'HTTP/1.1 200 ',
      ]);
      assert.doesNotMatch(arrived(), /smuggled/);
    });
  }
});

test('once upgraded, the bytes are the two ends’ own, and nothing behind them is a request', {
  skip,
}, async (t) => {
  answer = SWITCH;
  for (const way of READABLE) {
    await t.test(way, async () => {
      const arrived = watch();
      const client = new RawClient(gateway.port).send(
        `${opening(way)}${get(way, '/open/socket', WEBSOCKET)}early `,
      );
      await client.until(/101 Switching Protocols[\s\S]*\r\n\r\n$/);
      client.send(get(way, '/closed/inside'));
      await client.times('101 Switching Protocols', 2);
      client.socket.end();
      await client.all();
      assert.ok(arrived().endsWith(`early ${get(way, '/closed/inside')}`));
      const outcome = await gateway.outcome(
        (event) => event.client.endsWith(`:${client.localPort}`) && event.action === 'GET',
      );
      assert.deepEqual([outcome.path, outcome.outcome.status], ['/open/socket', 101]);
    });
  }
});

const OTHERS: Readonly<Record<string, readonly string[]>> = {
  h2c: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
  'h2c beside websocket': ['Connection: Upgrade', 'Upgrade: h2c, websocket'],
  'h2c in a line before websocket': ['Connection: Upgrade', 'Upgrade: h2c', 'Upgrade: websocket'],
  'TLS within HTTP': ['Connection: Upgrade', 'Upgrade: TLS/1.2'],
  'an invention': ['Connection: Upgrade', 'Upgrade: raw'],
  'websocket that Connection does not name': ['Connection: keep-alive', 'Upgrade: websocket'],
  nothing: [],
};

test('no other protocol is asked for, and a switch that nobody asked for ends both connections', {
  skip,
}, async (t) => {
  answer = SWITCH;
  for (const [name, lines] of Object.entries(OTHERS)) {
    for (const way of READABLE) {
      await t.test(`${name}, ${way}`, async () => {
        const arrived = watch();
        const client = new RawClient(gateway.port).send(
          `${opening(way)}${get(way, '/open/x', lines)}${get(way, '/closed/smuggled')}`,
        );
        assert.match(await client.all(), /HTTP\/1\.1 502 [^\r]*: upstream-reset/);
        assert.doesNotMatch(arrived(), /upgrade|smuggled|http2/i);
      });
    }
  }
});

test('a request to upgrade with a body does not switch', { skip }, async (t) => {
  answer = SWITCH;
  for (const way of READABLE) {
    await t.test(way, async () => {
      const body = '3\r\nabc\r\n';
      const client = new RawClient(gateway.port).send(
        `${opening(way)}${get(way, '/open/x', [...WEBSOCKET, 'Transfer-Encoding: chunked'])}${body}`,
      );
      assert.match(
        await client.until(/ 502 [\s\S]*\r\n\r\n/),
        /HTTP\/1\.1 502 [^\r]*: upstream-reset/,
      );
      client.close();
    });
  }
});
