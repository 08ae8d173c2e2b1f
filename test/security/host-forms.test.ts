import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { verdict, WAYS, type Way } from '../support/ways.ts';

/** Names of no address: what is allowed is looked up in vain, and what is not is never looked up. */

interface Row {
  readonly to: readonly string[];
  readonly host: string;
  readonly decision: 'allow' | 'deny' | 'invalid';
  /** `connect`: a slash in it ends the host of a URL. */
  readonly only?: 'connect';
}

const { cases } = JSON.parse(
  readFileSync(new URL('../cases/hosts.json', import.meta.url), 'utf8'),
) as { cases: readonly Row[] };

const EXPECTED = {
  allow: /^502 (?:resolve|connect)-failed$/,
  deny: /^403 no-matching-rule$/,
  invalid: /^400 (?:request|destination)-invalid$/,
};

let dns: DnsServer;

before(async () => {
  dns = await startDns();
});

after(() => dns.close());

function startAllowing(to: readonly string[]): Promise<TestGateway> {
  return startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: it, allow: [local], to: ${JSON.stringify(to)}, ports: [80, 443], via: nowhere }]
exits: { nowhere: { localAddress: 127.0.0.1 } }
`);
}

const onTheWire = (text: string) => Buffer.from(text).toString('latin1');
const waysFor = (row: Row): readonly Way[] =>
  row.only === 'connect' ? WAYS.filter((way) => way !== 'absolute') : WAYS;

test('every case of hosts.json, asked for in every way', async (t) => {
  const lists = Map.groupBy(cases, ({ to }) => JSON.stringify(to));
  for (const [list, rows] of lists) {
    const gateway = await startAllowing(JSON.parse(list));
    t.after(() => gateway.stop());
    for (const row of rows) {
      const host = onTheWire(row.host);
      await t.test(
        `${JSON.stringify(row.host.slice(0, 40))} to ${list}: ${row.decision}`,
        async () => {
          for (const way of waysFor(row)) {
            assert.match(await verdict(gateway, way, { host }), EXPECTED[row.decision], way);
          }
        },
      );
    }
  }
});

const LABEL = 'a'.repeat(63);

/** Each is read as `good.com`, or as nothing, by some software that stands behind a proxy. */
const NO_HOSTS = [
  'good.com\0',
  'good.com%00',
  '%67ood.com',
  'good%2ecom',
  '\x07good.com',
  'good.com\x7f',
  'good.com\v',
  '[good.com',
  'good.com]',
  '{good.com}',
  'good\\.com',
  'good.com\\',
  'evil.com\\@good.com',
  'user@good.com',
  'user:password@good.com',
  '@good.com',
  '.',
  '..',
  '.good.com',
  'good.com..',
  'good..com',
  'good.com:80:80',
  'good.com,evil.com',
  'good.com;evil.com',
  'good.com evil.com',
  '"good.com"',
  "'good.com'",
  'good.com$',
  'good.com!',
  '*.com',
  '-good.com',
  'good-.com',
  'good._com',
  'good.com.0x7f',
  'ｇood.com',
  'good。com',
  '\u212Aube.good.com',
  'good\u00AD.com',
  `${LABEL}a.com`,
  // 254 characters in labels that are short enough.
  `${LABEL}.${LABEL}.${LABEL}.${'a'.repeat(62)}`,
];

test('what is no plain host is refused for its form, even where every name is allowed', async (t) => {
  const gateway = await startAllowing(['*']);
  t.after(() => gateway.stop());
  const before = dns.queries.length;
  for (const text of NO_HOSTS) {
    await t.test(JSON.stringify(text.slice(0, 40)), async () => {
      for (const way of WAYS) {
        assert.match(await verdict(gateway, way, { host: onTheWire(text) }), EXPECTED.invalid, way);
      }
    });
  }
  assert.equal(dns.queries.length, before);
});

test('253 characters are a name, with the dot of the root or without', async (t) => {
  const gateway = await startAllowing(['*']);
  t.after(() => gateway.stop());
  const host = `${LABEL}.${LABEL}.${LABEL}.${'a'.repeat(61)}`;
  for (const way of WAYS) {
    assert.equal(await verdict(gateway, way, { host }), '502 resolve-failed', way);
    assert.equal(await verdict(gateway, way, { host: `${host}.` }), '502 resolve-failed', way);
  }
});

test('only what was allowed was ever looked up, in its canonical spelling', () => {
  const names = cases.filter((row) => row.decision === 'allow').map((row) => row.host);
  const canonical = names.map((name) => name.toLowerCase().replace(/\.$/, ''));
  const asked = new Set(dns.queries.map((query) => query.split(' ')[1] as string));
  const unexpected = [...asked].filter((name) => !canonical.includes(name) && name.length < 253);
  assert.deepEqual(unexpected, []);
});
