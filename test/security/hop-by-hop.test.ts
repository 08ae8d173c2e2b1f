import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import {
  needsPort80,
  onPort80,
  type SeenRequest,
  startHttpUpstream,
  type Upstream,
} from '../support/upstreams.ts';
import { behind, head } from '../support/ways.ts';

const skip = needsPort80();
const ALICE = 'X-Alice: alice-secret';
const BOB = 'X-Bob: bob-secret';

let upstream: Upstream;
let dns: DnsServer;
let gateway: TestGateway;
let responseHeaders: Readonly<Record<string, string>> = {};
let responseStatus = 200;

before(async () => {
  if (skip !== false) return;
  upstream = await startHttpUpstream(
    (_seen, response) => response.writeHead(responseStatus, responseHeaders).end('hello'),
    onPort80(),
  );
  dns = await startDns({ 'good.com': [upstream.host] });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  alice: { identify: [{ header: { name: X-Alice, value: { literal: alice-secret } } }] }
  bob: { identify: [{ header: { name: X-Bob, value: { literal: bob-secret } } }] }
  carol: { identify: [{ basic: { username: carol, password: { literal: carol-secret } } }] }
rules: [{ name: all, allow: ["*"], to: [good.com], addresses: [${upstream.host}] }]
`);
});

after(async () => {
  if (skip !== false) return;
  await gateway.stop();
  await dns.close();
  await upstream.close();
});

/** The ways to send a readable request. Inside a CONNECT the identity goes with the CONNECT alone. */
const SENDERS = {
  absolute: (lines: readonly string[], body: string, method: string) =>
    head(method, 'http://good.com/', 'good.com', [ALICE, ...lines]) + body,
  origin: (lines: readonly string[], body: string, method: string) =>
    head(method, '/', 'good.com', [ALICE, ...lines]) + body,
  inside: (lines: readonly string[], body: string, method: string) =>
    head('CONNECT', 'good.com:80', 'good.com:80', [ALICE]) +
    head(method, '/', 'good.com', lines) +
    body,
} as const;
type Sender = keyof typeof SENDERS;
const EVERY = Object.keys(SENDERS) as Sender[];

interface Passed {
  readonly seen: SeenRequest;
  readonly answer: string;
}

/** Sends one request and gives what arrived, and what came back. */
async function pass(
  sender: Sender,
  lines: readonly string[],
  body = '',
  method = body === '' ? 'GET' : 'POST',
): Promise<Passed> {
  const before = upstream.requests.length;
  const client = new RawClient(gateway.port).send(SENDERS[sender](lines, body, method));
  const strip = (text: string) => (sender === 'inside' ? behind(text) : text);
  const text = await client.until({ test: (all) => /\r\n\r\n[\s\S]*hello/.test(strip(all)) });
  client.close();
  assert.equal(statusOf(strip(text)), responseStatus);
  assert.equal(upstream.requests.length, before + 1);
  return { seen: upstream.requests.at(-1) as SeenRequest, answer: strip(text) };
}

const namesOf = ({ rawHeaders }: SeenRequest) =>
  rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());

/** All that the destination may learn besides what a test adds. */
const OURS = new Set(['host', 'via', 'connection', 'content-length', 'transfer-encoding', 'te']);

for (const sender of skip === false ? EVERY : []) {
  test(`fields for this hop do not go on: ${sender}`, async () => {
    const { seen } = await pass(sender, [
      'Keep-Alive: timeout=5',
      'TE: trailers, gzip;q=0.5',
      'Trailer: X-Alice',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
      'Connection: Upgrade, HTTP2-Settings, TE',
      'Proxy-Connection: keep-alive',
      'Proxy-Authenticate: Basic',
      'PROXY-anything: 1',
    ]);
    assert.deepEqual(
      namesOf(seen).filter((name) => !OURS.has(name)),
      [],
    );
  });

  test(`what Connection names does not go on, in whatever spelling: ${sender}`, async () => {
    const { seen } = await pass(sender, [
      'Connection: X-One,x-TWO ,\tX-three',
      'CONNECTION: , X-Four,, close',
      'X-One: 1',
      'X-Two: 2',
      'x-tHREE: 3',
      'X-Four: 4',
      'X-Five: 5',
      'X-Five: 6',
    ]);
    assert.deepEqual(
      namesOf(seen).filter((name) => !OURS.has(name)),
      ['x-five', 'x-five'],
    );
  });

  test(`Connection cannot take away what the gateway sets: ${sender}`, async () => {
    const lines = [
      'Connection: Host, Via, Content-Length, Transfer-Encoding, Connection',
      'Via: 1.0 before',
    ];
    const { seen } = await pass(sender, [...lines, 'Content-Length: 4'], 'body');
    assert.equal(seen.headers.host, 'good.com');
    assert.match(String(seen.headers.via), /^1\.1 sekisho-[0-9a-f]{8}$/);
    assert.equal(seen.body, 'body');
    const chunked = await pass(
      sender,
      [...lines, 'Transfer-Encoding: chunked'],
      '4\r\nbody\r\n0\r\n\r\n',
    );
    assert.equal(chunked.seen.body, 'body');
    assert.equal(chunked.seen.headers.host, 'good.com');
  });

  test(`no identity header of any principal goes on, in a trailer neither: ${sender}`, async () => {
    const names = sender === 'inside' ? [BOB, ALICE, 'x-aLICE: again'] : [];
    const credentials = Buffer.from('carol:carol-secret').toString('base64');
    const proxy = sender === 'inside' ? [`Proxy-Authorization: Basic ${credentials}`] : [];
    const { seen } = await pass(
      sender,
      [...names, ...proxy, 'X-Kept: 1', 'Transfer-Encoding: chunked'],
      `4\r\nbody\r\n0\r\n${ALICE}\r\n${BOB}\r\nHost: bad.com\r\n\r\n`,
    );
    assert.deepEqual(
      namesOf(seen).filter((name) => !OURS.has(name)),
      ['x-kept'],
    );
    assert.doesNotMatch(JSON.stringify(seen), /secret/);
    assert.equal(seen.headers.host, 'good.com');
  });

  test(`Via tells the path so far and this gateway behind it: ${sender}`, async () => {
    const { seen } = await pass(sender, ['Via: 1.0 fred', 'Via: 1.1 p.example (Squid)']);
    assert.match(
      String(seen.headers.via),
      /^1\.0 fred, 1\.1 p\.example \(Squid\), 1\.1 sekisho-[0-9a-f]{8}$/,
    );
  });

  test(`what a response says for its own hop does not come back: ${sender}`, async () => {
    responseStatus = 407;
    responseHeaders = {
      Connection: 'X-Hop, Content-Length, Sekisho-Reason',
      'X-Hop': '1',
      'Keep-Alive': 'timeout=5',
      'Proxy-Authenticate': 'Basic realm="give me your password"',
      'Proxy-Authentication-Info': 'x',
      Trailer: 'X-Late',
      'X-Kept': '1',
    };
    const { answer } = await pass(sender, []);
    responseStatus = 200;
    responseHeaders = {};
    assert.match(answer, /^X-Kept: 1\r$/m);
    assert.doesNotMatch(answer, /^(?:x-hop|keep-alive|proxy-|trailer)/im);
  });
}

test('identity is read before Connection is heeded', { skip }, async () => {
  for (const sender of ['absolute', 'origin'] as const) {
    const { seen } = await pass(sender, ['Connection: X-Alice']);
    assert.doesNotMatch(JSON.stringify(seen), /alice/i);
  }
  // Nor does naming a wrong one make it go away.
  const both = head('GET', 'http://good.com/', 'good.com', [
    ALICE,
    'X-Bob: wrong',
    'Connection: X-Bob',
  ]);
  const client = new RawClient(gateway.port).send(both);
  assert.match(await client.until(/\r\n\r\n/), /^HTTP\/1\.1 407 [^\r]*identity-invalid/);
  client.close();
});

test('the header of one principal does not go on when another one asks', { skip }, async () => {
  const before = upstream.requests.length;
  const credentials = Buffer.from('carol:carol-secret').toString('base64');
  // Basic before header: the request counts as Carol's, and neither evidence leaves the gateway.
  const lines = [BOB, `Proxy-Authorization: Basic ${credentials}`];
  const client = new RawClient(gateway.port).send(
    head('GET', 'http://good.com/', 'good.com', lines),
  );
  await client.until(/hello/);
  client.close();
  assert.equal(
    (await gateway.outcome((event) => event.client.endsWith(`:${client.localPort}`))).principal,
    'carol',
  );
  const seen = upstream.requests[before] as SeenRequest;
  assert.deepEqual(
    namesOf(seen).filter((name) => !OURS.has(name)),
    [],
  );
});
