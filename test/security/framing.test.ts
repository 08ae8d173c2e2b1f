import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needsPort80, onPort80, startHttpUpstream, type Upstream } from '../support/upstreams.ts';
import { behind, head } from '../support/ways.ts';

const skip = needsPort80();

interface Row {
  readonly name: string;
  readonly raw: string;
  readonly status: number | readonly number[];
}

const table = JSON.parse(
  readFileSync(new URL('../cases/framing.json', import.meta.url), 'utf8'),
) as { cases: readonly Row[] };
/** CONNECT has a file of its own. */
const rows = table.cases.filter(({ name }) => !name.startsWith('connect-'));

let upstream: Upstream;
let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  if (skip !== false) return;
  upstream = await startHttpUpstream(undefined, onPort80());
  dns = await startDns({ 'good.com': [upstream.host] });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: good, allow: [local], to: [good.com], addresses: [${upstream.host}] }]
`);
});

after(async () => {
  if (skip !== false) return;
  await gateway.stop();
  await dns.close();
  await upstream.close();
});

const NEXT = head('GET', 'http://good.com/next', 'good.com', []);
const ENTER = head('CONNECT', 'good.com:80', 'good.com:80', []);

/** Straight to the listener, or behind a CONNECT to port 80; everything in one segment, as an attacker would. */
const PLACES = {
  straight: (raw: string) => raw,
  'inside CONNECT': (raw: string) => ENTER + raw,
} as const;

/** Sends a request with another one right behind it, and gives all that was answered until the gateway closed. */
async function sendAll(place: keyof typeof PLACES, raw: string): Promise<string> {
  const client = new RawClient(gateway.port).send(PLACES[place](raw));
  const text = await client.all();
  client.close();
  return place === 'straight' ? text : behind(text);
}

const answersIn = (text: string) => text.match(/^HTTP\/1\.1 \d{3} /gm)?.length;

/** Refused with 400 and closed; neither it nor what follows it on the connection ever arrives whole. */
async function assertRefused(t: TestContext, name: string, raw: string): Promise<void> {
  for (const place of Object.keys(PLACES) as (keyof typeof PLACES)[]) {
    await t.test(`${name}, ${place}`, async () => {
      const before = upstream.requests.length;
      const text = await sendAll(place, raw + NEXT);
      assert.match(text, /^HTTP\/1\.1 400 Bad Request: (?:request-invalid|host-mismatch) /);
      assert.equal(answersIn(text), 1, text);
      assert.equal(upstream.requests.length, before, 'the upstream saw a complete request');
    });
  }
}

test('every case of framing.json', { skip }, async (t) => {
  for (const { name, raw, status } of rows) {
    if (![status].flat().includes(200)) await assertRefused(t, name, raw);
    else {
      for (const place of Object.keys(PLACES) as (keyof typeof PLACES)[]) {
        await t.test(`${name}, ${place}`, async () => {
          const before = upstream.requests.length;
          const last = raw.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
          assert.equal(statusOf(await sendAll(place, last)), 200);
          assert.equal(upstream.requests.length, before + 1);
        });
      }
    }
  }
});

test('the same cases in origin form', { skip }, async (t) => {
  // Where target and Host differ on purpose, there is no origin form of it.
  const same = rows.filter(({ raw }) => /^[A-Z]+ http:\/\/good\.com\/ /.test(raw));
  for (const { name, raw, status } of same) {
    if ([status].flat().includes(200) || name.startsWith('host-disagrees')) continue;
    await assertRefused(t, name, raw.replace('http://good.com/', '/'));
  }
});

const post = (lines: readonly string[], body: string) =>
  head('POST', 'http://good.com/', 'good.com', lines) + body;
const chunked = (body: string) => post(['Transfer-Encoding: chunked'], body);
const MALFORMED: Readonly<Record<string, string>> = {
  'two lengths in one field': post(['Content-Length: 4, 4'], 'abcd'),
  'an empty length': post(['Content-Length:'], ''),
  'a length with a unit': post(['Content-Length: 4b'], 'abcd'),
  'a length with an inner space': post(['Content-Length: 1 0'], '0123456789'),
  'a length in other digits': post(['Content-Length: \xd9\xa4'], 'abcd'),
  'a length beyond 2^53': post(['Content-Length: 9007199254740993'], ''),
  'a length of zero with a coding': post(
    ['Content-Length: 0', 'Transfer-Encoding: chunked'],
    '0\r\n\r\n',
  ),
  'an empty coding': post(['Transfer-Encoding:'], '0\r\n\r\n'),
  'another coding before chunked': post(['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'),
  'chunked twice in one field': post(['Transfer-Encoding: chunked, chunked'], '0\r\n\r\n'),
  'chunked with a parameter': post(['Transfer-Encoding: chunked;q=1'], '0\r\n\r\n'),
  'chunked in quotes': post(['Transfer-Encoding: "chunked"'], '0\r\n\r\n'),
  'identity alone': post(['Transfer-Encoding: identity'], ''),
  'a coding hidden by a fold': post(['X: y', ' Transfer-Encoding: chunked'], '0\r\n\r\n'),
  'a coding folded': post(['Transfer-Encoding:', ' chunked'], '0\r\n\r\n'),
  'a tab before the colon': post(['Transfer-Encoding\t: chunked'], '0\r\n\r\n'),
  'NUL in a name': post(['Content-Length\0: 4'], 'abcd'),
  'a name in other letters': post(['Content-L\xe9ngth: 4'], 'abcd'),
  'a chunk size with a sign': chunked('+3\r\nabc\r\n0\r\n\r\n'),
  'a negative chunk size': chunked('-3\r\nabc\r\n0\r\n\r\n'),
  'an empty chunk size': chunked('\r\nabc\r\n0\r\n\r\n'),
  'a space before a chunk size': chunked(' 3\r\nabc\r\n0\r\n\r\n'),
  'a space behind a chunk size': chunked('3 \r\nabc\r\n0\r\n\r\n'),
  'a chunk size beyond 2^64': chunked('10000000000000003\r\nabc\r\n0\r\n\r\n'),
  'a bare LF behind a chunk': chunked('3\r\nabc\n0\r\n\r\n'),
  'a bare CR behind a chunk size': chunked('3\rabc\r\n0\r\n\r\n'),
  'a line end hidden in a chunk extension': chunked('3;a=b\nc\r\nabc\r\n0\r\n\r\n'),
  'a chunk that is too short': chunked('5\r\nabc\r\n0\r\n\r\n'),
  'a length in a trailer': chunked('0\r\nContent-Length: 4\r\n\r\n'),
  'a coding in a trailer': chunked('0\r\nTransfer-Encoding: chunked\r\n\r\n'),
  'a folded trailer': chunked('0\r\nX: y\r\n z\r\n\r\n'),
  'bare CR as the end of lines': 'GET http://good.com/ HTTP/1.1\rHost: good.com\r\r',
  'a bare LF among good lines': 'GET http://good.com/ HTTP/1.1\r\nHost: good.com\nX: y\r\n\r\n',
  'a bare LF in a value': head('GET', 'http://good.com/', 'good.com', [
    'X: a\nTransfer-Encoding: chunked',
  ]),
  'DEL in a value': head('GET', 'http://good.com/', 'good.com', ['X: \x7f']),
  'a tab in the request line': 'GET\thttp://good.com/\tHTTP/1.1\r\nHost: good.com\r\n\r\n',
  'a space behind the version': 'GET http://good.com/ HTTP/1.1 \r\nHost: good.com\r\n\r\n',
  'a version in lower case': 'GET http://good.com/ http/1.1\r\nHost: good.com\r\n\r\n',
  'a version with more digits': 'GET http://good.com/ HTTP/1.10\r\nHost: good.com\r\n\r\n',
  'HTTP/0.9': 'GET http://good.com/\r\nHost: good.com\r\n\r\n',
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'two empty lines before it': '\r\n\r\nGET http://good.com/ HTTP/1.1\r\nHost: good.com\r\n\r\n',
  'a target that is no ASCII': 'GET http://good.com/\xff HTTP/1.1\r\nHost: good.com\r\n\r\n',
  'more fields than anybody sends': head(
    'GET',
    'http://good.com/',
    'good.com',
    Array(300).fill('X: y'),
  ),
  'a head larger than the limit': head('GET', 'http://good.com/', 'good.com', [
    `X: ${'y'.repeat(70_000)}`,
  ]),
  TLS: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
};

test('whatever two parsers could read differently is refused, and so is all that follows it', {
  skip,
}, async (t) => {
  for (const [name, raw] of Object.entries(MALFORMED)) await assertRefused(t, name, raw);
});

const SMUGGLED = head('GET', 'http://good.com/smuggled', 'good.com', []);

test('a request in a body is a body', { skip }, async (t) => {
  const size = SMUGGLED.length;
  const bodies = {
    'by length': (method: string) =>
      head(method, 'http://good.com/', 'good.com', [`Content-Length: ${size}`]) + SMUGGLED,
    chunked: (method: string) =>
      `${head(method, 'http://good.com/', 'good.com', ['Transfer-Encoding: chunked'])}${size.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    'chunked, behind an extension and before trailers': (method: string) =>
      `${head(method, 'http://good.com/', 'good.com', ['Transfer-Encoding: chunked'])}${size.toString(16)};a="0\\"b"\r\n${SMUGGLED}\r\n0\r\nX: y\r\n\r\n`,
  };
  for (const place of Object.keys(PLACES) as (keyof typeof PLACES)[]) {
    for (const [name, request] of Object.entries(bodies)) {
      for (const method of ['POST', 'GET', 'DELETE']) {
        await t.test(`${method} ${name}, ${place}`, async () => {
          const before = upstream.requests.length;
          const last = NEXT.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
          await sendAll(place, request(method) + last);
          const seen = upstream.requests.slice(before);
          assert.deepEqual(
            seen.map(({ method, url, body }) => [method, url, body]),
            [
              [method, '/', SMUGGLED],
              ['GET', '/next', ''],
            ],
          );
        });
      }
    }
  }
});

test('behind a refused request with a body nothing is read as a request', { skip }, async () => {
  for (const framing of [`Content-Length: ${SMUGGLED.length}`, 'Transfer-Encoding: chunked']) {
    for (const place of Object.keys(PLACES) as (keyof typeof PLACES)[]) {
      const before = upstream.requests.length;
      const target = place === 'straight' ? 'http://denied.test/' : 'http://good.com:81/';
      const host = target.slice(7, -1);
      const text = await sendAll(place, head('POST', target, host, [framing]) + SMUGGLED + NEXT);
      assert.match(text, /^HTTP\/1\.1 (?:403|400) /);
      assert.equal(answersIn(text), 1, text);
      assert.equal(upstream.requests.length, before);
    }
  }
});

test('the decision on a malformed request is on record, at the stage where it fell', {
  skip,
}, async () => {
  // A client of its own: beyond a burst, refusals of one client are counted instead of written.
  const refused = async (raw: string) => {
    const client = new RawClient(gateway.port, { localAddress: '127.0.0.7' }).send(raw);
    await client.all();
    return gateway.outcome((event) => event.client === `127.0.0.7:${client.localPort}`);
  };
  const framing = await refused(post(['Content-Length: 4', 'Content-Length: 5'], 'abcde'));
  assert.deepEqual(
    [framing.decision?.stage, framing.decision?.reason, framing.outcome.status],
    ['accept', 'request-invalid', 400],
  );
});

test('a body that turns out malformed is refused on record, after the decision that let it begin', {
  skip,
}, async () => {
  const client = new RawClient(gateway.port).send(chunked('3\r\nabc\r\nzz\r\n'));
  assert.equal(statusOf(await client.all()), 400);
  const outcome = await gateway.outcome(
    (event) => event.client === `127.0.0.1:${client.localPort}`,
  );
  assert.deepEqual(
    gateway.decisions(outcome.id).map(({ decision }) => `${decision?.stage} ${decision?.reason}`),
    ['address rule-allow', 'request request-invalid'],
  );
});
