import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { ask, verdict, WAYS } from '../support/ways.ts';

/** From loopback the system dials no other address: what is allowed fails there, and no packet leaves the machine. */
const ALLOWED = '502 connect-failed';
const FORBIDDEN = '403 address-forbidden';

const table = JSON.parse(
  readFileSync(new URL('../cases/addresses.json', import.meta.url), 'utf8'),
) as Record<'forbidden' | 'permitted' | 'invalid', readonly string[]>;

const METADATA = [
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  'fd00:ec2::254',
  'fd00:ec2::23',
] as const;

const literal = (text: string) => (text.includes(':') ? `[${text}]` : text);

let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  dns = await startDns();
  gateway = await startAllowing(
    '  - { name: all, allow: [local], to: ["*", 0.0.0.0/0, "::/0"], via: nowhere }',
  );
});

after(async () => {
  await gateway.stop();
  await dns.close();
});

function startAllowing(rules: string): Promise<TestGateway> {
  return startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
${rules}
exits: { nowhere: { localAddress: 127.0.0.1 } }
`);
}

async function assertVerdict(
  host: string,
  expected: string | RegExp,
  of: TestGateway = gateway,
): Promise<void> {
  for (const way of WAYS) {
    const got = await verdict(of, way, { host });
    if (typeof expected === 'string') assert.equal(got, expected, `${way} ${host}`);
    else assert.match(got, expected, `${way} ${host}`);
  }
}

let names = 0;

/** A name of its own, since answers are kept, with one address behind it. */
function nameFor(ip: string, zone = 'everywhere.test'): string {
  const name = `a${names++}.${zone}`;
  dns.set(name, [ip]);
  return name;
}

test('every forbidden address of addresses.json, as a literal and as an answer of DNS', async (t) => {
  for (const ip of table.forbidden) {
    await t.test(ip, async () => {
      await assertVerdict(literal(ip), FORBIDDEN);
      await assertVerdict(nameFor(ip), FORBIDDEN);
    });
  }
});

test('every permitted address of addresses.json, as a literal and as an answer of DNS', async (t) => {
  for (const ip of table.permitted) {
    await t.test(ip, async () => {
      await assertVerdict(literal(ip), ALLOWED);
      await assertVerdict(nameFor(ip), ALLOWED);
    });
  }
});

const MORE_INVALID = [
  '0',
  '00.0.0.0',
  '127.0.0.1.',
  '127.0.0.0x1',
  '0X7F000001',
  '017700000001',
  '1.2.3.08',
  '4294967296',
  '1..2',
  '[127.0.0.1]',
  '[v1.fe80::a]',
  '[::1',
  '[::1%25lo]',
  '[::ffff:127.1]',
  '[1:2:3:4:5:6:7:8:9]',
  '1.2.3.4%20',
];

test('a form that getaddrinfo would make an address of is refused as a form, and asked of nobody', async (t) => {
  const before = dns.queries.length;
  for (const text of [...table.invalid.map(literal), ...MORE_INVALID]) {
    await t.test(text, () => assertVerdict(text, /^400 (?:destination|request)-invalid$/));
  }
  assert.equal(dns.queries.length, before);
});

/** What an address behind a name comes to where the rule for the name says `addresses`, and no other rule fits. */
const BY_ADDRESSES: readonly {
  readonly addresses: readonly string[];
  readonly opens: readonly string[];
  readonly leavesShut: readonly string[];
}[] = [
  {
    addresses: ['10.0.5.0/24', 'fd00:5::/64'],
    // A subnet behind NAT64 or 6to4 is that subnet.
    opens: ['10.0.5.7', 'fd00:5::7', '::ffff:10.0.5.7', '64:ff9b::10.0.5.7', '2002:a00:507::1'],
    leavesShut: ['10.0.6.7', 'fd00:6::7', '64:ff9b::10.0.6.7', '8.8.8.8', '2606:4700:4700::1111'],
  },
  { addresses: ['0.0.0.0/8'], opens: [], leavesShut: ['0.1.2.3', '0.0.0.0'] },
  { addresses: ['::ffff:10.0.5.7'], opens: ['10.0.5.7'], leavesShut: ['10.0.5.8'] },
  { addresses: ['8.8.8.0/24'], opens: ['8.8.8.8'], leavesShut: ['8.8.4.4', '10.0.0.1'] },
  {
    addresses: ['0.0.0.0/0', '::/0'],
    opens: ['8.8.8.8', '2606:4700:4700::1111'],
    leavesShut: ['10.0.0.1', 'fc00::1', '127.0.0.1', '169.254.169.254', '64:ff9b::10.0.0.1'],
  },
  {
    addresses: ['64:ff9b::/96'],
    opens: ['64:ff9b::8.8.8.8'],
    leavesShut: ['64:ff9b::10.0.0.1', '64:ff9b::7f00:1', '10.0.0.1'],
  },
  {
    addresses: [...METADATA],
    opens: [...METADATA],
    leavesShut: ['169.254.169.253', '169.254.170.3', 'fd00:ec2::255'],
  },
  {
    addresses: ['169.254.0.0/16', 'fd00:ec2::/32', '127.0.0.0/8', '::/96'],
    opens: ['169.254.1.1', 'fd00:ec2::1'],
    leavesShut: [...METADATA, '127.0.0.1', '127.0.0.2', '::1', '::ffff:127.0.0.1'],
  },
];

test('`addresses` opens what it names and nothing else; metadata and this host only by name', async (t) => {
  const rules = BY_ADDRESSES.map(({ addresses }, i) => {
    const list = JSON.stringify(addresses);
    return `  - { name: r${i}, allow: [local], to: [.r${i}.test], addresses: ${list}, via: nowhere }`;
  });
  const narrow = await startAllowing(rules.join('\n'));
  t.after(() => narrow.stop());
  for (const [i, { addresses, opens, leavesShut }] of BY_ADDRESSES.entries()) {
    await t.test(addresses.join(', '), async () => {
      for (const ip of opens) await assertVerdict(nameFor(ip, `r${i}.test`), ALLOWED, narrow);
      for (const ip of leavesShut)
        await assertVerdict(nameFor(ip, `r${i}.test`), FORBIDDEN, narrow);
    });
  }
});

test("this host's own addresses are forbidden, as literals and as answers", async () => {
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  for (const { address } of own) {
    await assertVerdict(literal(address), FORBIDDEN);
    await assertVerdict(nameFor(address), FORBIDDEN);
  }
});

test('a refusal of an address does not tell the address', async () => {
  for (const way of WAYS) {
    const answer = await ask(gateway, way, { host: nameFor('10.66.77.88') });
    assert.match(answer, /address-forbidden/);
    assert.doesNotMatch(answer, /10\.66\.77\.88/);
  }
});
