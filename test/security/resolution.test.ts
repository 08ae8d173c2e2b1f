import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { type DnsServer, queriesFor, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import {
  needsPort80,
  onPort80,
  type RawUpstream,
  startHttpUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';
import { ask, head, verdict, verdictOf, WAYS } from '../support/ways.ts';

const skip = needsPort80();
const ALLOWED = '502 connect-failed';
const FORBIDDEN = '403 address-forbidden';

let dns: DnsServer;
let gateway: TestGateway;
let first: Upstream;
let second: Upstream;
/** What must never be reached: it listens, on the port that is asked for. */
let inside: RawUpstream;
const insidePlace = onPort80();

before(async () => {
  dns = await startDns();
  const places = [onPort80(), onPort80()] as const;
  if (skip === false) {
    first = await startHttpUpstream((_seen, response) => response.end('first'), places[0]);
    second = await startHttpUpstream((_seen, response) => response.end('second'), places[1]);
    inside = await startRawUpstream(
      (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\ninside'),
      insidePlace,
    );
  }
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.0/8] }] } }
rules:
  - { name: public, allow: [local], to: [.public.test], via: nowhere }
  - { name: two, allow: [local], to: [.two.test], addresses: [${places[0].host}, ${places[1].host}] }
exits: { nowhere: { localAddress: 127.0.0.1 } }
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
  for (const upstream of [first, second, inside]) await upstream?.close();
});

test('a denied name causes no query, in no way to ask', async () => {
  const before = dns.queries.length;
  for (const host of ['denied.test', 'public.test.denied.test', 'secret-data.denied.test']) {
    for (const way of WAYS) {
      assert.equal(await verdict(gateway, way, { host }), '403 no-matching-rule', way);
      const port = way === 'inside' ? 80 : 8443;
      const known = { host: 'a.public.test', port };
      if (way !== 'inside')
        assert.equal(await verdict(gateway, way, known), '403 no-matching-rule');
    }
  }
  assert.equal(dns.queries.length, before);
});

test('an exchange asks once for each family, whatever the TTL', async () => {
  for (const way of WAYS.filter((each) => each !== 'inside')) {
    const host = `once-${way}.public.test`;
    dns.set(host, { A: ['8.8.8.8'], AAAA: ['2606:4700:4700::1111'], ttl: 0 });
    assert.equal(await verdict(gateway, way, { host }), ALLOWED);
    assert.equal(queriesFor(dns, host), 2);
  }
});

test('names are taken as they stand: no search domain is tried', async () => {
  const before = dns.queries.length;
  assert.equal(
    await verdict(gateway, 'connect', { host: 'absent.public.test' }),
    '502 resolve-failed',
  );
  const asked = new Set(dns.queries.slice(before).map((query) => query.split(' ')[1]));
  assert.deepEqual([...asked], ['absent.public.test']);
});

test('of several answers only the permitted are dialled', { skip }, async () => {
  dns.set('some.two.test', [insidePlace.host, '127.0.0.1', '10.0.0.1', '::1', first.host]);
  for (const way of WAYS.filter((each) => each !== 'connect')) {
    assert.match(await ask(gateway, way, { host: 'some.two.test' }), /^HTTP\/1\.1 200 /);
  }
  assert.equal(inside.received.length, 0);
  const outcome = await gateway.outcome(
    (event) => event.destination === 'some.two.test:80' && event.action === 'GET',
  );
  assert.equal(outcome.address, first.host);
});

test('when no answer is permitted, nothing is dialled', { skip }, async () => {
  dns.set('none.two.test', [insidePlace.host, '127.0.0.1', '10.0.0.1', '::1', 'fd00::1']);
  for (const way of WAYS) {
    assert.equal(await verdict(gateway, way, { host: 'none.two.test' }), FORBIDDEN, way);
  }
  assert.equal(inside.received.length, 0);
});

test('private addresses in any form of an answer are forbidden', async (t) => {
  const answers: Readonly<Record<string, readonly string[]>> = {
    mapped: ['::ffff:10.0.0.1'],
    NAT64: ['64:ff9b::10.0.0.1'],
    '6to4': ['2002:a00:1::1'],
    'v4-translated': ['::ffff:0:10.0.0.1'],
    'v4-compatible': ['::10.0.0.1'],
    Teredo: ['2001:0:a00:1::1'],
    'local NAT64': ['64:ff9b:1::a00:1'],
    'several forms at once': ['10.0.0.1', '::ffff:10.0.0.1', '64:ff9b::a9fe:a9fe', 'fe80::1'],
  };
  for (const [name, ips] of Object.entries(answers)) {
    await t.test(name, async () => {
      const host = `${name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')}.public.test`;
      dns.set(host, ips);
      for (const way of WAYS) assert.equal(await verdict(gateway, way, { host }), FORBIDDEN, way);
    });
  }
});

test('an alias changes neither the name that was decided on nor the class of the address', async () => {
  dns.set('to-inside.public.test', { A: ['10.0.0.1'], alias: 'db.corp.internal' });
  dns.set('to-public.public.test', { A: ['8.8.8.8'], alias: 'cdn.example.net' });
  for (const way of WAYS) {
    assert.equal(await verdict(gateway, way, { host: 'to-inside.public.test' }), FORBIDDEN, way);
    assert.equal(await verdict(gateway, way, { host: 'to-public.public.test' }), ALLOWED, way);
    assert.equal(await verdict(gateway, way, { host: 'cdn.example.net' }), '403 no-matching-rule');
  }
  assert.equal(queriesFor(dns, 'db.corp.internal') + queriesFor(dns, 'cdn.example.net'), 0);
});

test('a name that leads inside the second time is refused the second time', { skip }, async () => {
  dns.set('rebound.two.test', { A: [first.host], ttl: 0 });
  const client = new RawClient(gateway.port);
  const request = head('GET', 'http://rebound.two.test/', 'rebound.two.test', []);
  client.send(request);
  await client.times('first', 1);
  dns.set('rebound.two.test', { A: [insidePlace.host], ttl: 0 });
  // The kept connection to the good address is no way around the new answer either.
  for (;;) {
    const from = client.received.length;
    client.send(request);
    const text = await client.until({ test: (all) => /first|\nSekisho /.test(all.slice(from)) });
    if (!/first/.test(text.slice(from))) {
      assert.equal(verdictOf(text.slice(from)), FORBIDDEN);
      break;
    }
  }
  client.close();
  assert.equal(inside.received.length, 0);
});

test('a kept upstream connection serves only who was decided on for its address', {
  skip,
}, async () => {
  dns.set('moving.two.test', { A: [first.host], ttl: 0 });
  const client = new RawClient(gateway.port);
  const request = head('GET', 'http://moving.two.test/', 'moving.two.test', []);
  client.send(request);
  await client.times('first', 1);
  dns.set('moving.two.test', { A: [second.host], ttl: 0 });
  const queries = queriesFor(dns, 'moving.two.test');
  for (let from = client.received.length; ; from = client.received.length) {
    client.send(request);
    const text = await client.until({ test: (all) => /first|second/.test(all.slice(from)) });
    if (/second/.test(text.slice(from))) break;
    assert.equal(
      queriesFor(dns, 'moving.two.test'),
      queries,
      'the new answer came, the old address served',
    );
  }
  client.close();
});

test('DNS that fails is the outcome of an allowed exchange', async (t) => {
  const replies = {
    'no such name': 'nxdomain',
    'no address': [],
    failure: 'servfail',
    garbage: 'garbage',
  } as const;
  for (const [name, reply] of Object.entries(replies)) {
    await t.test(name, async () => {
      const host = `${name.replaceAll(' ', '-')}.public.test`;
      dns.set(host, reply);
      for (const way of WAYS) {
        assert.equal(await verdict(gateway, way, { host }), '502 resolve-failed', way);
      }
      const { decision, outcome } = await gateway.outcome(
        ({ destination }) => destination === `${host}:443`,
      );
      assert.deepEqual([decision?.effect, outcome.error], ['allow', 'resolve-failed']);
    });
  }
});

test('DNS that never answers ends in time, and other clients do not notice', async () => {
  dns.set('silent.public.test', 'silence');
  dns.set('quick.public.test', ['8.8.8.8']);
  const waiting = WAYS.map((way) => verdict(gateway, way, { host: 'silent.public.test' }));
  const settled = new Set<number>();
  waiting.forEach((each, i) => void each.then(() => settled.add(i)));
  for (const way of WAYS) {
    const wanted = { host: 'quick.public.test', from: '127.0.0.2' };
    assert.equal(await verdict(gateway, way, wanted), ALLOWED);
  }
  assert.equal(settled.size, 0);
  assert.deepEqual(await Promise.all(waiting), Array(WAYS.length).fill('502 resolve-failed'));
  const { decision, outcome } = await gateway.outcome(
    ({ destination }) => destination === 'silent.public.test:443',
  );
  assert.deepEqual([decision?.effect, outcome.error], ['allow', 'resolve-failed']);
});
