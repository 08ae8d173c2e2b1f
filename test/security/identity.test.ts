import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needsPort80, onPort80, startHttpUpstream, type Upstream } from '../support/upstreams.ts';
import { ask, behind, head, verdict, WAYS } from '../support/ways.ts';

const skip = needsPort80();
const place = onPort80();

let upstream: Upstream;
let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  if (skip === false) upstream = await startHttpUpstream(undefined, place);
  dns = await startDns({ 'good.com': [place.host], 'bobs.com': [place.host] });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  alice: { identify: [{ header: { name: X-Alice, value: [{ literal: alice-secret }, { literal: alice-next }] } }] }
  bob: { identify: [{ header: { name: X-Bob, value: { literal: bob-secret } } }] }
  carol: { identify: [{ basic: { username: carol, password: { literal: "carol:sécret" } } }] }
  dave: { identify: [{ bearer: { token: { literal: dave-token } } }] }
  erin: { identify: [{ header: { name: X-Erin, value: { literal: erin-secret } }, clientAddress: [127.0.0.50] }] }
  frank: { identify: [{ clientAddress: [127.0.0.60] }] }
rules:
  - { name: all, allow: ["*"], to: [allowed.test, 8.8.8.8], via: nowhere }
  - { name: good, allow: ["*"], to: [good.com], addresses: [${place.host}] }
  - { name: bobs, allow: [bob], to: [bobs.com], addresses: [${place.host}] }
exits: { nowhere: { localAddress: 127.0.0.1 } }
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
  await upstream?.close();
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const CAROL = base64('carol:carol:sécret');
const ALLOWED = '502 connect-failed';
const INVALID = '407 identity-invalid';
const NOBODY = '407 no-identity';

const ALICE = 'X-Alice: alice-secret';
const CASES: Readonly<Record<string, readonly [lines: readonly string[], expected: string]>> = {
  nothing: [[], NOBODY],
  'the right header': [[ALICE], ALLOWED],
  'its other value, while one replaces the other': [['x-alice:   alice-next  '], ALLOWED],
  'a wrong value': [['X-Alice: wrong'], INVALID],
  'another case of the value': [['X-Alice: ALICE-SECRET'], INVALID],
  'the beginning of the value': [['X-Alice: alice-secre'], INVALID],
  'the value and more': [['X-Alice: alice-secret2'], INVALID],
  'the value in quotes': [['X-Alice: "alice-secret"'], INVALID],
  'an empty value': [['X-Alice:'], INVALID],
  'the header twice, alike': [[ALICE, ALICE], INVALID],
  'the header twice, wrong first': [['X-Alice: wrong', ALICE], INVALID],
  'the header twice, wrong last': [[ALICE, 'X-ALICE: wrong'], INVALID],
  'the header twice, empty first': [['X-Alice:', ALICE], INVALID],
  'both right values': [[ALICE, 'X-Alice: alice-next'], INVALID],
  'a list of the value': [['X-Alice: alice-secret, alice-secret'], INVALID],
  "another principal's value": [['X-Alice: bob-secret'], INVALID],
  'two principals, both right': [[ALICE, 'X-Bob: bob-secret'], INVALID],
  'two principals, one wrong': [[ALICE, 'X-Bob: wrong'], INVALID],
  'the right header and empty credentials': [[ALICE, 'Proxy-Authorization:'], INVALID],
  'the right header and wrong Basic': [
    [ALICE, `Proxy-Authorization: Basic ${base64('carol:x')}`],
    INVALID,
  ],
  'the right header and Basic without form': [[ALICE, 'Proxy-Authorization: Basic'], INVALID],
  'a wrong header and right Basic': [
    ['X-Alice: wrong', `Proxy-Authorization: Basic ${CAROL}`],
    INVALID,
  ],
  'right Basic': [[`Proxy-Authorization: Basic ${CAROL}`], ALLOWED],
  'right Basic, its scheme in other case': [[`Proxy-Authorization: bASIC  ${CAROL}`], ALLOWED],
  'Basic twice': [
    [`Proxy-Authorization: Basic ${CAROL}`, `Proxy-Authorization: Basic ${CAROL}`],
    INVALID,
  ],
  'Basic twice, wrong first': [
    [`Proxy-Authorization: Basic ${base64('carol:x')}`, `Proxy-Authorization: Basic ${CAROL}`],
    INVALID,
  ],
  'Basic and Bearer, both right': [
    [`Proxy-Authorization: Basic ${CAROL}`, 'Proxy-Authorization: Bearer dave-token'],
    INVALID,
  ],
  'a list of Basic': [[`Proxy-Authorization: Basic ${CAROL}, Basic ${CAROL}`], INVALID],
  'Basic of another user': [
    [`Proxy-Authorization: Basic ${base64('alice:carol:sécret')}`],
    INVALID,
  ],
  'Basic with an empty password': [[`Proxy-Authorization: Basic ${base64('carol:')}`], INVALID],
  'Basic without a colon': [[`Proxy-Authorization: Basic ${base64('carol')}`], INVALID],
  'Basic without padding': [[`Proxy-Authorization: Basic ${CAROL.replace(/=+$/, '')}x`], INVALID],
  'Basic in the alphabet of URLs': [['Proxy-Authorization: Basic Y2Fy-_=='], INVALID],
  'Basic with NUL behind it': [
    [`Proxy-Authorization: Basic ${base64('carol:carol:sécret\0')}`],
    INVALID,
  ],
  'right Bearer': [['Proxy-Authorization: Bearer dave-token'], ALLOWED],
  'wrong Bearer': [['Proxy-Authorization: Bearer dave-toke'], INVALID],
  'Bearer of a password': [[`Proxy-Authorization: Bearer ${CAROL}`], INVALID],
  'empty Bearer': [['Proxy-Authorization: Bearer '], INVALID],
  'a scheme that nobody has': [['Proxy-Authorization: Negotiate YII='], INVALID],
  'credentials for the destination': [[`Authorization: Basic ${CAROL}`], NOBODY],
  'the header of a destination': [['Alice: alice-secret'], NOBODY],
  'evidence from elsewhere than it is bound to': [['X-Erin: erin-secret'], INVALID],
};

test('identity holds as a whole or not at all, in every way to ask', async (t) => {
  for (const [name, [lines, expected]] of Object.entries(CASES)) {
    await t.test(name, async () => {
      for (const way of WAYS) {
        assert.equal(
          await verdict(gateway, way, { host: '8.8.8.8', headers: lines }),
          expected,
          way,
        );
      }
    });
  }
});

test('evidence that is bound to an address holds from there', async () => {
  for (const way of WAYS) {
    const wanted = { host: '8.8.8.8', from: '127.0.0.50' };
    assert.equal(
      await verdict(gateway, way, { ...wanted, headers: ['X-Erin: erin-secret'] }),
      ALLOWED,
    );
    assert.equal(await verdict(gateway, way, { ...wanted, headers: ['X-Erin: wrong'] }), INVALID);
    assert.equal(await verdict(gateway, way, wanted), NOBODY, 'the address alone is not enough');
  }
});

test('a known address does not mend wrong evidence', async () => {
  for (const way of WAYS) {
    const wanted = { host: '8.8.8.8', from: '127.0.0.60' };
    assert.equal(await verdict(gateway, way, wanted), ALLOWED);
    assert.equal(await verdict(gateway, way, { ...wanted, headers: ['X-Alice: wrong'] }), INVALID);
    assert.equal(await verdict(gateway, way, { ...wanted, headers: ['X-Alice:'] }), INVALID);
    const negotiate = ['Proxy-Authorization: Negotiate YII='];
    assert.equal(await verdict(gateway, way, { ...wanted, headers: negotiate }), INVALID);
  }
});

test('who is not identified has no name looked up', async () => {
  const before = dns.queries.length;
  for (const way of WAYS) {
    assert.equal(await verdict(gateway, way, { host: 'allowed.test' }), NOBODY);
    const headers = ['X-Alice: wrong'];
    assert.equal(await verdict(gateway, way, { host: 'allowed.test', headers }), INVALID);
  }
  assert.equal(dns.queries.length, before);
});

test('a 407 says how to identify, and repeats nothing that was presented', async () => {
  const credentials = base64('carol:hunter2');
  for (const way of WAYS) {
    for (const accept of ['*/*', 'application/json']) {
      const answer = await ask(gateway, way, {
        host: '8.8.8.8',
        headers: [
          `Accept: ${accept}`,
          'X-Alice: hunter2',
          `Proxy-Authorization: Basic ${credentials}`,
        ],
      });
      assert.match(answer, /^Proxy-Authenticate: Basic realm="sekisho"\r$/m);
      assert.match(answer, /^Proxy-Authenticate: Bearer realm="sekisho"\r$/m);
      assert.doesNotMatch(answer, new RegExp(`hunter2|${credentials}`));
    }
  }
});

test('every request of a kept connection is identified anew', { skip }, async () => {
  const before = upstream.requests.length;
  const client = new RawClient(gateway.port);
  const statuses: number[] = [];
  const send = async (host: string, headers: readonly string[]) => {
    const from = client.received.length;
    client.send(head('GET', `http://${host}/`, host, headers));
    const text = await client.until({ test: (all) => isWhole(all.slice(from)) });
    statuses.push(statusOf(text.slice(from)));
  };
  await send('bobs.com', ['X-Bob: bob-secret']);
  await send('bobs.com', []);
  await send('bobs.com', [ALICE]);
  await send('good.com', [ALICE]);
  await send('bobs.com', ['X-Bob: wrong']);
  await send('bobs.com', ['X-Bob: bob-secret']);
  client.close();
  assert.deepEqual(statuses, [200, 407, 403, 200, 407, 200]);
  assert.equal(upstream.requests.length - before, 3);
  const last = await gateway.outcome(
    (event) => event.client.endsWith(`:${client.localPort}`) && event.destination === 'good.com:80',
  );
  assert.equal(last.principal, 'alice');
});

function isWhole(answer: string): boolean {
  const length = /^content-length: (\d+)\r$/im.exec(answer)?.[1];
  return length !== undefined && behind(answer).length >= Number(length);
}

test('inside CONNECT to port 80 it is the CONNECT that identifies', { skip }, async () => {
  const client = new RawClient(gateway.port).send(
    head('CONNECT', 'good.com:80', 'good.com:80', [ALICE]) +
      head('GET', '/as-alice', 'good.com', []) +
      head('GET', '/as-bob', 'good.com', ['X-Bob: bob-secret']) +
      head('GET', '/as-nobody', 'good.com', [
        'X-Alice: wrong',
        'Proxy-Authorization: nonsense',
        'Connection: close',
      ]),
  );
  const text = await client.all();
  assert.equal(text.match(/HTTP\/1\.1 200 /g)?.length, 4);
  for (const path of ['/as-alice', '/as-bob', '/as-nobody']) {
    const outcome = await gateway.outcome((event) => event.path === path);
    assert.equal(outcome.principal, 'alice');
  }
});

test('a CONNECT that one principal may not make is not mended by what is sent inside', {
  skip,
}, async () => {
  const client = new RawClient(gateway.port).send(
    head('CONNECT', 'bobs.com:80', 'bobs.com:80', [ALICE]) +
      head('GET', '/smuggled', 'bobs.com', ['X-Bob: bob-secret']),
  );
  assert.match(await client.all(), /^HTTP\/1\.1 403 /);
  assert.equal(
    upstream.requests.some(({ url }) => url === '/smuggled'),
    false,
  );
});

test('an IPv4 client of an IPv6 listener is the client that it is over IPv4', async (t) => {
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "[::]:0", from: [127.0.0.60, 127.0.0.61] } }
principals: { frank: { identify: [{ clientAddress: [127.0.0.60] }] } }
rules: [{ name: all, allow: ["*"], to: [8.8.8.8], via: nowhere }]
exits: { nowhere: { localAddress: 127.0.0.1 } }
`);
  t.after(() => own.stop());
  for (const way of WAYS) {
    assert.equal(await verdict(own, way, { host: '8.8.8.8', from: '127.0.0.60' }), ALLOWED);
    assert.equal(await verdict(own, way, { host: '8.8.8.8', from: '127.0.0.61' }), NOBODY);
  }
  const stranger = new RawClient(own.port, { localAddress: '127.0.0.62' });
  assert.equal(await stranger.send(head('GET', 'http://8.8.8.8/', '8.8.8.8', [])).all(), '');
});

test('no upstream connection is shared across principals, or across the exits of one', {
  skip,
}, async (t) => {
  const peers = await startHttpUpstream((_seen, response) => {
    response.end(`from ${response.socket?.remoteAddress}:${response.socket?.remotePort}`);
  }, onPort80());
  t.after(() => peers.close());
  const own = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  alice: { identify: [{ header: { name: X-Alice, value: { literal: alice-secret } } }] }
  bob: { identify: [{ header: { name: X-Bob, value: { literal: bob-secret } } }] }
rules:
  - { name: first, allow: ["*"], to: [peers.com], paths: [/first], addresses: [${peers.host}], via: first }
  - { name: second, allow: ["*"], to: [peers.com], paths: [/second], addresses: [${peers.host}], via: second }
exits: { first: { localAddress: 127.0.0.71 }, second: { localAddress: 127.0.0.72 } }
`);
  t.after(() => own.stop());
  dns.set('peers.com', [peers.host]);
  const client = new RawClient(own.port);
  const asked = [
    [ALICE, '/first'],
    [ALICE, '/second'],
    ['X-Bob: bob-secret', '/first'],
  ] as const;
  let answers = 0;
  for (const [identity, path] of [...asked, ...asked, ...asked]) {
    client.send(head('GET', `http://peers.com${path}`, 'peers.com', [identity]));
    await client.times('from ', ++answers);
  }
  client.close();
  const used = client.received.toString('latin1').match(/from 127\.0\.0\.\d+:\d+/g) ?? [];
  // Each of the three kept to one connection of its own, by its own exit.
  assert.equal(peers.connections, 3);
  assert.deepEqual(used.slice(3), [...used.slice(0, 3), ...used.slice(0, 3)]);
  assert.deepEqual(
    used.slice(0, 3).map((peer) => peer.split(':')[0]),
    ['from 127.0.0.71', 'from 127.0.0.72', 'from 127.0.0.71'],
  );
});
