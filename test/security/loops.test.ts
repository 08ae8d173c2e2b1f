import assert from 'node:assert/strict';
import { hostname, networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needsPort80, onPort80, startHttpUpstream, type Upstream } from '../support/upstreams.ts';
import { ask, head, verdict, verdictOf, WAYS, type Way } from '../support/ways.ts';

/** Rules here name every address exactly and open every port: nothing but the loop check stands in the way. */

const LOOP = '403 loop';
const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
const ownAddresses = own.map(({ address }) => address);
/** Forms of loopback that reach a wildcard listener: mapped, NAT64, 6to4, v4-translated, and "any" as a destination. */
const LOOPBACK = [
  '127.0.0.1',
  '127.0.0.2',
  '127.255.255.254',
  '::1',
  '::ffff:127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '::ffff:0:127.0.0.1',
  '0.0.0.0',
  '::',
];
const ALIASES = [...LOOPBACK, ...ownAddresses];

const literal = (ip: string) => (ip.includes(':') ? `[${ip}]` : ip);
const quoted = (texts: readonly string[]) => JSON.stringify(texts);

let dns: DnsServer;

before(async () => {
  const names = Object.fromEntries(ALIASES.map((ip, i) => [`alias${i}.test`, [ip]]));
  dns = await startDns({
    ...names,
    [hostname().toLowerCase()]: ['127.0.0.1'],
    'mixed.test': ['127.0.0.1', '127.0.0.2'],
  });
});

after(() => dns.close());

function startOn(bind: string, more = ''): Promise<TestGateway> {
  return startTestGateway(`
gateway: { resolvers: ["${dns.address}"]${more} }
listeners: { egress: { type: forward-proxy, bind: ${bind} } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1, "::1"] }] } }
rules:
  - name: all
    allow: [local]
    to: ["*", "localhost.", "${hostname()}.", ${ALIASES.map((ip) => `"${ip}"`).join(', ')}]
    ports: ['1-65535']
    addresses: ${quoted(ALIASES)}
`);
}

/** The listener's port may be asked for in these ways; `inside` is for port 80 alone. */
const DIRECT = WAYS.filter((way) => way !== 'inside');

async function assertLoop(
  gateway: TestGateway,
  host: string,
  port: number,
  ways: readonly Way[] = DIRECT,
) {
  for (const way of ways) {
    assert.equal(await verdict(gateway, way, { host, port }), LOOP, `${way} ${host}:${port}`);
  }
}

test('a listener on every address is no destination, by any address of this host or name for one', async (t) => {
  for (const bind of ['"0.0.0.0:0"', '"[::]:0"']) {
    const gateway = await startOn(bind);
    t.after(() => gateway.stop());
    // A listener on IPv4 alone is not reached by IPv6; what stands for an IPv4 address reaches it.
    const reaching = (ip: string) =>
      bind.includes('::') || !ip.includes(':') || /^(?:64:|2002:|::ffff:)/.test(ip);
    for (const [i, ip] of ALIASES.entries()) {
      if (!reaching(ip)) continue;
      await t.test(`${bind} by ${ip}`, async () => {
        await assertLoop(gateway, literal(ip), gateway.port);
        await assertLoop(gateway, `alias${i}.test`, gateway.port);
      });
    }
    const ipv4Names = [hostname(), `${hostname().toUpperCase()}.`, 'mixed.test'];
    const bothNames = ['localhost', 'LOCALHOST.', 'me.localhost'];
    for (const name of bind.includes('::') ? [...ipv4Names, ...bothNames] : ipv4Names) {
      await t.test(`${bind} by ${name}`, () => assertLoop(gateway, name, gateway.port));
    }
  }
});

test('neither is a listener on one address, nor the admin API', async (t) => {
  const gateway = await startOn('"127.0.0.1:0"');
  t.after(() => gateway.stop());
  for (const port of [gateway.port, gateway.gateway.admin.port]) {
    for (const host of [
      '127.0.0.1',
      '[::ffff:127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '0.0.0.0',
      'alias0.test',
    ]) {
      await t.test(`${host}:${port === gateway.port ? 'listener' : 'admin'}`, () =>
        assertLoop(gateway, host, port),
      );
    }
  }
});

test('the same port of another address is somebody else', async (t) => {
  const gateway = await startOn('"127.0.0.1:0"');
  t.after(() => gateway.stop());
  for (const way of DIRECT) {
    const wanted = { host: '127.0.0.2', port: gateway.port };
    assert.equal(await verdict(gateway, way, wanted), '502 connect-failed');
  }
});

test('a listener on port 80 is not reached through CONNECT to port 80 either', {
  skip: needsPort80(),
}, async (t) => {
  const { host } = onPort80();
  const gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: ["127.0.0.1:0", "${host}:80"] } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: all, allow: [local], to: ["*", ${host}], addresses: [${host}] }]
`);
  t.after(() => gateway.stop());
  dns.set('port80.test', [host]);
  const ways: readonly Way[] = ['absolute', 'origin', 'inside'];
  await assertLoop(gateway, host, 80, [...ways]);
  await assertLoop(gateway, 'port80.test', 80, [...ways]);
});

test('a request that has passed this gateway is refused, however Via is written', {
  skip: needsPort80(),
}, async (t) => {
  const upstream: Upstream = await startHttpUpstream(undefined, onPort80());
  t.after(() => upstream.close());
  dns.set('good.com', [upstream.host]);
  const gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: good, allow: [local], to: [good.com], addresses: [${upstream.host}] }]
`);
  t.after(() => gateway.stop());
  await ask(gateway, 'absolute', { host: 'good.com' });
  const via = String(upstream.requests[0]?.headers.via);
  const name = via.split(' ')[1] as string;
  const looped: readonly (readonly string[])[] = [
    [`Via: ${via}`],
    [`VIA: ${via}`],
    [`Via: 1.0 ${name}`],
    [`Via: HTTP/1.1 ${name}`],
    [`Via: 2 ${name}`],
    [`Via: 1.1 ${name.toUpperCase()}`],
    [`Via: 1.1   ${name}`],
    [`Via: 1.1\t${name}`],
    [`Via: 1.1 ${name} (comment)`],
    [`Via: 1.1 other, 1.1 ${name}`],
    [`Via: 1.1 other,1.1 ${name},1.1 another`],
    [`Via: , ,1.1 ${name}`],
    ['Via: 1.1 other', `Via: 1.1 ${name}`],
    [`Via: 1.1 other (a, b), 1.1 ${name}`],
    [`Via: 1.1 ${name}`, 'Connection: Via'],
  ];
  for (const lines of looped) {
    await t.test(lines.join(' | ').replaceAll(name, 'NAME'), async () => {
      for (const way of WAYS) {
        const wanted = { host: 'good.com', headers: lines };
        assert.equal(await verdict(gateway, way, wanted), LOOP, way);
      }
    });
  }
  for (const other of ['1.1 other', `1.1 x${name}`, `1.1 ${name}x`]) {
    await t.test(`another's: ${other.replaceAll(name, 'NAME')}`, async () => {
      const wanted = { host: 'good.com', headers: [`Via: ${other}`] };
      assert.equal(await verdict(gateway, 'absolute', wanted), '200');
    });
  }
});

test('two gateways that lead to one another do not go in circles', {
  skip: needsPort80(),
}, async (t) => {
  // Each on port 80 of its own address, and each sends what is for good.com to the other.
  const [first, second] = [onPort80(), onPort80()];
  const zones = [
    await startDns({ 'good.com': [second.host] }),
    await startDns({ 'good.com': [first.host] }),
  ];
  const gateways: TestGateway[] = [];
  for (const [i, place] of [first, second].entries()) {
    const zone = zones[i] as DnsServer;
    const next = i === 0 ? second : first;
    const gateway = await startTestGateway(`
gateway: { name: gateway-${i}, resolvers: ["${zone.address}"] }
listeners: { egress: { type: forward-proxy, bind: "${place.host}:80" } }
principals: { all: { identify: [{ clientAddress: [127.0.0.0/8] }] } }
rules: [{ name: good, allow: [all], to: [good.com], addresses: [${next.host}] }]
`);
    gateways.push(gateway);
    t.after(async () => {
      await gateway.stop();
      await zone.close();
    });
  }
  const client = new RawClient(80, { host: first.host }).send(head('GET', '/', 'good.com', []));
  assert.equal(verdictOf(await client.until(/\r\n\r\n/)), LOOP);
  client.close();
  // Once around: the first gateway let it out, and did not take it back.
  const outer = await gateways[0]?.outcome(({ decision }) => decision?.effect === 'allow');
  assert.equal(outer?.outcome.status, 403);
});
