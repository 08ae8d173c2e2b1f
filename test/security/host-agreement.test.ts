import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needsPort80, onPort80, startHttpUpstream, type Upstream } from '../support/upstreams.ts';
import { behind, head, verdictOf } from '../support/ways.ts';

/** Server names against the CONNECT host: `client-hello.test.ts`; Host against the CONNECT target: `connect.test.ts`. */

const skip = needsPort80();
let upstream: Upstream;
let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  if (skip !== false) return;
  upstream = await startHttpUpstream(undefined, onPort80());
  const { host } = upstream;
  dns = await startDns({ 'good.com': [host], 'bad.com': [host] });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: both, allow: [local], to: [good.com, bad.com, ${host}], ports: [80, 81], addresses: [${host}] }]
`);
});

after(async () => {
  if (skip !== false) return;
  await gateway.stop();
  await dns.close();
  await upstream.close();
});

/** What a request comes to straight at the listener and inside a CONNECT to good.com, which must be the same. */
async function assertVerdict(expected: string | RegExp, request: string): Promise<void> {
  const before = upstream.requests.length;
  const straight = new RawClient(gateway.port).send(request);
  const direct = await straight.until(/\r\n\r\n/);
  straight.close();
  const client = new RawClient(gateway.port);
  client.send(head('CONNECT', 'good.com:80', 'good.com:80', [])).send(request);
  const inside = behind(await client.until({ test: (text) => /\r\n\r\n/.test(behind(text)) }));
  client.close();
  for (const [place, answer] of Object.entries({ direct, inside })) {
    if (typeof expected === 'string') assert.equal(verdictOf(answer), expected, place);
    else assert.match(verdictOf(answer), expected, place);
  }
  assert.equal(upstream.requests.length - before, expected === '200' ? 2 : 0);
}

const withHosts = (target: string, ...hosts: readonly string[]) =>
  `GET ${target} HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join('')}\r\n`;

test('target and Host that are one host but for spelling agree, and the destination is told the canonical one', {
  skip,
}, async (t) => {
  const targets = [
    'http://good.com/',
    'http://GOOD.com/',
    'HTTP://good.com./',
    'http://good.com:80',
    'http://good.com?q',
  ];
  const hosts = ['good.com', 'Good.Com', 'good.com.', 'good.com:80', 'good.com.:80'];
  for (const target of targets) {
    for (const host of hosts) {
      await t.test(`${target} with ${host}`, async () => {
        await assertVerdict('200', withHosts(target, host));
        assert.equal(upstream.requests.at(-1)?.headers.host, 'good.com');
      });
    }
  }
});

test('target and Host that are two hosts are refused, though a rule allows either', {
  skip,
}, async (t) => {
  const cases: readonly (readonly [target: string, host: string])[] = [
    ['http://good.com/', 'bad.com'],
    ['http://good.com/', 'good.com:81'],
    ['http://good.com:81/', 'good.com'],
    ['http://good.com:80/', 'good.com:443'],
    ['http://good.com/', 'good.com.bad.com'],
    ['http://good.com/', 'www.good.com'],
    ['http://good.com/', '127.0.0.1'],
    ['http://good.com/', '[::1]'],
  ];
  for (const [target, host] of cases) {
    await t.test(`${target} with ${host}`, () =>
      assertVerdict('400 host-mismatch', withHosts(target, host)),
    );
  }
});

test('an address and a name for it are two hosts', { skip }, async () => {
  await assertVerdict('400 host-mismatch', withHosts(`http://good.com/`, upstream.host));
  await assertVerdict('400 host-mismatch', withHosts(`http://${upstream.host}/`, 'good.com'));
});

test('a Host that is no single plain host is refused', { skip }, async (t) => {
  const hosts = [
    '',
    'good.com, good.com',
    'good.com, bad.com',
    'good.com bad.com',
    'good.com;bad.com',
    'user@good.com',
    'user:pw@good.com',
    'bad.com@good.com',
    'good.com/',
    'good.com/bad',
    'good.com#',
    'good.com?',
    'http://good.com',
    '//good.com',
    'good.com:',
    'good.com:0',
    'good.com:080',
    'good.com:80:80',
    'good.com:http',
    '[good.com]',
    'good.com\\bad.com',
    '"good.com"',
    'good.com\xa0',
  ];
  for (const host of hosts) {
    await t.test(JSON.stringify(host), async () => {
      await assertVerdict(
        /^400 (?:request|destination)-invalid$/,
        withHosts('http://good.com/', host),
      );
      await assertVerdict(/^400 (?:request|destination)-invalid$/, withHosts('/', host));
    });
  }
});

test('two Hosts are refused, alike or not, in whatever spelling of the name; and so is none', {
  skip,
}, async () => {
  await assertVerdict('400 request-invalid', withHosts('http://good.com/', 'good.com', 'good.com'));
  await assertVerdict('400 request-invalid', withHosts('http://good.com/', 'good.com', 'bad.com'));
  await assertVerdict('400 request-invalid', withHosts('/', 'bad.com', 'good.com'));
  await assertVerdict(
    '400 request-invalid',
    'GET / HTTP/1.1\r\nhost: good.com\r\nHOST: good.com\r\n\r\n',
  );
  await assertVerdict('400 request-invalid', withHosts('http://good.com/'));
  await assertVerdict('400 request-invalid', withHosts('/'));
});

test('a target in any other form is refused', { skip }, async (t) => {
  const targets = [
    'https://good.com/',
    'ftp://good.com/',
    'ws://good.com/',
    'file:///etc/passwd',
    'gopher://good.com:80/',
    'javascript:1',
    'http:good.com',
    'http:/good.com',
    'http:///good.com/',
    'http://',
    'http:///',
    'http://:80/',
    'http://@good.com/',
    'http://user@good.com/',
    'http://user:pw@good.com/',
    'http://bad.com@good.com/',
    'http://good.com:80@bad.com/',
    'http://bad.com\\@good.com/',
    'http://good.com\\/',
    'http://good.com:/',
    'http://good.com:080/',
    'http://good.com:+80/',
    'http://good.com:80:80/',
    'http://good.com#@bad.com/',
    'http://good.com/#',
    '/#x',
    'http://good.com%2f@bad.com/',
    'http://[good.com]/',
    'good.com',
    'good.com:80',
    '*',
    '//good.com\\x#',
  ];
  for (const target of targets) {
    await t.test(target, () =>
      assertVerdict(/^400 (?:request|destination)-invalid$/, withHosts(target, 'good.com')),
    );
  }
});

test('what looks like another host behind the path begins is path and query, and goes on as it was sent', {
  skip,
}, async (t) => {
  for (const rest of [
    '/@bad.com',
    '/http://bad.com/',
    '//bad.com/',
    '/?@bad.com',
    '/%2f%2fbad.com',
    '/\\bad.com',
  ]) {
    await t.test(rest, async () => {
      for (const target of [`http://good.com${rest}`, rest]) {
        await assertVerdict('200', withHosts(target, 'good.com'));
        assert.equal(upstream.requests.at(-1)?.url, rest);
        assert.equal(upstream.requests.at(-1)?.headers.host, 'good.com');
      }
    });
  }
});

test('the disagreement is a decision on record', { skip }, async () => {
  const client = new RawClient(gateway.port, { localAddress: '127.0.0.8' });
  await client.send(withHosts('http://good.com/', 'bad.com')).all();
  const outcome = await gateway.outcome(
    (event) => event.client === `127.0.0.8:${client.localPort}`,
  );
  assert.deepEqual(
    gateway.decisions(outcome.id).map(({ decision }) => decision?.reason),
    ['host-mismatch'],
  );
  assert.equal(outcome.decision?.stage, 'accept');
});
