import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Answers, type DnsServer, startDns } from '../../test/support/dns-server.ts';
import { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { createResolver, type Resolver, type ResolverOptions } from './resolver.ts';

const V4 = '93.184.216.34';
const V6 = '2606:2800::1';

interface Bench {
  readonly dns: DnsServer;
  readonly resolver: Resolver;
  /** The addresses of a name as texts, or the code of the failure. */
  ask(name: string): Promise<readonly string[] | string>;
  /** Lets the resolver's clock go on. */
  pass(milliseconds: number): void;
}

async function setUp(
  t: TestContext,
  zone: Readonly<Record<string, Answers>>,
  options: Partial<ResolverOptions> = {},
): Promise<Bench> {
  const dns = await startDns(zone);
  let now = 0;
  const resolver = createResolver({
    servers: [dns.server],
    hostsFile: '/nonexistent/hosts',
    now: () => now,
    ...options,
  });
  t.after(async () => {
    resolver.close();
    await dns.close();
  });
  return {
    dns,
    resolver,
    ask: (name) =>
      resolver.resolve(Hostname.parse(name)).then(
        (ips) => ips.map(String),
        (error) => error.code,
      ),
    pass: (milliseconds) => {
      now += milliseconds;
    },
  };
}

function writeHosts(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'hosts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'hosts');
  writeFileSync(path, text);
  return path;
}

test('both families are asked, and take turns with IPv6 first', async (t) => {
  const { dns, ask } = await setUp(t, { 'a.com': [V4, '93.184.216.35', V6] });
  assert.deepEqual(await ask('a.com'), [V6, V4, '93.184.216.35']);
  assert.deepEqual([...dns.queries].sort(), ['A a.com', 'AAAA a.com']);
});

test('an answer is kept for its TTL, and no longer', async (t) => {
  const { dns, ask, pass, resolver } = await setUp(t, { 'a.com': { A: [V4], ttl: 30 } });
  await ask('a.com');
  dns.set('a.com', ['192.0.2.7']);
  pass(29_999);
  assert.deepEqual(await ask('a.com'), [V4]);
  assert.equal(resolver.stats.hits, 1);
  pass(1);
  assert.deepEqual(await ask('a.com'), ['192.0.2.7']);
});

test('a TTL of zero is kept for a second, a TTL of days for five minutes', async (t) => {
  const { dns, ask, pass } = await setUp(t, {
    'zero.com': { A: [V4], ttl: 0 },
    'days.com': { A: [V4], ttl: 200_000 },
  });
  const askBoth = () => Promise.all([ask('zero.com'), ask('days.com')]);
  await askBoth();
  pass(999);
  await askBoth();
  assert.equal(dns.queries.length, 4);
  pass(1);
  await askBoth();
  assert.equal(dns.queries.length, 6);
  pass(299_000);
  await ask('days.com');
  assert.equal(dns.queries.length, 8);
});

test('"no such name" and "no address" are kept for five seconds', async (t) => {
  const { dns, ask, pass } = await setUp(t, { 'empty.com': [] });
  for (const name of ['missing.com', 'empty.com']) {
    const before = dns.queries.length;
    assert.equal(await ask(name), 'resolve-failed');
    pass(4_999);
    assert.equal(await ask(name), 'resolve-failed');
    assert.equal(dns.queries.length, before + 2);
    dns.set(name, [V4]);
    pass(1);
    assert.deepEqual(await ask(name), [V4]);
  }
});

test('a failing server is asked again after a second', async (t) => {
  const { dns, ask, pass, resolver } = await setUp(t, { 'a.com': 'servfail' });
  assert.equal(await ask('a.com'), 'resolve-failed');
  const before = dns.queries.length;
  dns.set('a.com', [V4]);
  pass(999);
  assert.equal(await ask('a.com'), 'resolve-failed');
  assert.equal(dns.queries.length, before);
  pass(1);
  assert.deepEqual(await ask('a.com'), [V4]);
  assert.equal(resolver.stats.failures, 1);
});

test('a server that never answers ends in resolve-failed, and the message says so', async (t) => {
  const { resolver } = await setUp(t, { 'a.com': 'silence' }, { timeoutMs: 60 });
  await assert.rejects(resolver.resolve(Hostname.parse('a.com')), {
    code: 'resolve-failed',
    message: /^a\.com does not resolve: .*A: no answer in time.*gateway\.resolvers/,
  });
});

test('a family that does not answer does not hold up the other', async (t) => {
  const { ask } = await setUp(
    t,
    { 'a.com': { A: [V4], AAAA: 'silence' }, 'b.com': { A: 'silence', AAAA: [V6] } },
    { timeoutMs: 3_600_000 },
  );
  assert.deepEqual(await ask('a.com'), [V4]);
  assert.deepEqual(await ask('b.com'), [V6]);
});

test('a family that is a little later than the other is waited for', async (t) => {
  const { ask } = await setUp(
    t,
    { 'a.com': { A: [V4], AAAA: [V6], delayMs: { AAAA: 30 } } },
    { resolutionDelayMs: 60_000 },
  );
  assert.deepEqual(await ask('a.com'), [V6, V4]);
});

test('an answer that lacks a family because of trouble is not kept for its TTL', async (t) => {
  const { dns, ask, pass } = await setUp(t, { 'a.com': { A: [V4], AAAA: 'servfail', ttl: 300 } });
  assert.deepEqual(await ask('a.com'), [V4]);
  dns.set('a.com', [V4, V6]);
  pass(5_000);
  assert.deepEqual(await ask('a.com'), [V6, V4]);
});

test('a family that a broken server denies does not hide the other (RFC 4074)', async (t) => {
  const { ask } = await setUp(t, { 'a.com': { A: [V4], AAAA: 'nxdomain' } });
  assert.deepEqual(await ask('a.com'), [V4]);
});

test('a malformed answer does not spoil the good one beside it', async (t) => {
  const { ask } = await setUp(t, { 'a.com': { A: 'garbage', AAAA: [V6] } });
  assert.deepEqual(await ask('a.com'), [V6]);
});

test('an IPv4 address dressed as IPv6 is the IPv4 address', async (t) => {
  const { ask } = await setUp(t, { 'a.com': { AAAA: ['::ffff:10.0.0.1'] } });
  assert.deepEqual(await ask('a.com'), ['10.0.0.1']);
});

test('who asks for the same name at the same time shares one lookup', async (t) => {
  const { dns, ask, resolver } = await setUp(t, { 'a.com': [V4] });
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('a.com')));
  assert.equal(dns.queries.length, 2);
  assert.deepEqual(new Set(answers.map(String)), new Set([V4]));
  assert.deepEqual(resolver.stats, { kept: 1, inFlight: 0, hits: 49, lookups: 1, failures: 0 });
});

test('beyond a thousand names in flight the next one fails at once, and recovers', async (t) => {
  const { ask, resolver } = await setUp(t, { '*': 'silence', 'a.com': [V4] }, { timeoutMs: 800 });
  const waiting = Array.from({ length: 1_000 }, (_, i) => ask(`n${i}.com`));
  assert.equal(await ask('a.com'), 'resolve-failed');
  assert.equal(resolver.stats.inFlight, 1_000);
  await Promise.all(waiting);
  assert.deepEqual(await ask('a.com'), [V4]);
});

test('closing ends the lookups in flight, and fails what comes later', async (t) => {
  const { ask, resolver } = await setUp(t, { 'a.com': 'silence' }, { timeoutMs: 3_600_000 });
  // What c-ares gives up by itself reads ETIMEOUT.
  const ended = assert.rejects(resolver.resolve(Hostname.parse('a.com')), /A: no answer in time/);
  resolver.close();
  await ended;
  assert.equal(await ask('b.com'), 'resolve-failed');
  assert.equal(resolver.stats.kept, 0);
});

test('localhost is loopback and .invalid does not exist, whatever hosts file and DNS say', async (t) => {
  const hostsFile = writeHosts(t, '10.0.0.1 localhost a.localhost b.invalid\n');
  const { dns, ask } = await setUp(t, { '*': ['10.0.0.2'] }, { hostsFile });
  assert.deepEqual(await ask('localhost'), ['::1', '127.0.0.1']);
  assert.deepEqual(await ask('a.localhost'), ['::1', '127.0.0.1']);
  assert.equal(await ask('b.invalid'), 'resolve-failed');
  assert.deepEqual(dns.queries, []);
  assert.deepEqual(await ask('notlocalhost'), ['10.0.0.2']);
});

test('a name in the hosts file is not asked for', async (t) => {
  const hostsFile = writeHosts(
    t,
    '# 10.0.0.9 a.com\n10.0.0.1\tA.com  b.com # b.com c.com\r\nfd00::1 a.com\nnonsense a.com\n10.0.0.3 bad..name d.com\n',
  );
  const { dns, ask } = await setUp(t, {}, { hostsFile });
  assert.deepEqual(await ask('a.com'), ['fd00::1', '10.0.0.1']);
  assert.deepEqual(await ask('b.com'), ['10.0.0.1']);
  assert.deepEqual(await ask('d.com'), ['10.0.0.3']);
  assert.deepEqual(dns.queries, []);
  assert.equal(await ask('c.com'), 'resolve-failed');
});

test('an edit of the hosts file takes effect, also over an answer that is kept', async (t) => {
  const hostsFile = writeHosts(t, '');
  const { ask, pass } = await setUp(t, { 'a.com': [V4] }, { hostsFile });
  assert.deepEqual(await ask('a.com'), [V4]);
  writeFileSync(hostsFile, '10.0.0.1 a.com\n');
  pass(1_000);
  assert.deepEqual(await ask('a.com'), ['10.0.0.1']);
  rmSync(hostsFile);
  pass(1_000);
  assert.deepEqual(await ask('a.com'), [V4]);
});

test('a hosts file that cannot be read closes the way, and the message names it', async (t) => {
  const { resolver, dns } = await setUp(t, { 'a.com': [V4] }, { hostsFile: tmpdir() });
  await assert.rejects(resolver.resolve(Hostname.parse('a.com')), {
    code: 'resolve-failed',
    message: new RegExp(`^${tmpdir()} cannot be read \\(EISDIR\\)`),
  });
  assert.deepEqual(dns.queries, []);
});

test('a second name server is asked when the first is not there', async (t) => {
  const gone = await startDns();
  await gone.close();
  const { dns } = await setUp(t, { 'a.com': [V4] });
  const resolver = createResolver({
    servers: [gone.server, dns.server],
    hostsFile: '/nonexistent/hosts',
  });
  t.after(() => resolver.close());
  assert.deepEqual(await resolver.resolve(Hostname.parse('a.com')), [Ip.parse(V4)]);
});
