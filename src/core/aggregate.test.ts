import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { aggregate, countAddresses } from './aggregate.ts';
import { Cidr, Ip } from './ip.ts';

function networks(...texts: string[]): Cidr[] {
  return texts.map((text) => Cidr.parse(text) as Cidr);
}

const TABLE: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['two halves are their whole', ['10.0.0.0/25', '10.0.0.128/25'], ['10.0.0.0/24']],
  [
    'four quarters too',
    ['10.0.3.0/24', '10.0.1.0/24', '10.0.0.0/24', '10.0.2.0/24'],
    ['10.0.0.0/22'],
  ],
  [
    'neighbours that are no halves of one whole stay',
    ['10.0.1.0/24', '10.0.2.0/24'],
    ['10.0.1.0/24', '10.0.2.0/24'],
  ],
  ['what is contained is dropped', ['10.0.0.0/8', '10.1.2.3/32', '10.0.0.0/8'], ['10.0.0.0/8']],
  ['IPv6 in any case is one', ['2001:DB8::/33', '2001:db8:8000::/33'], ['2001:db8::/32']],
  ['families do not mix', ['::/1', '8000::/1', '0.0.0.0/1', '128.0.0.0/1'], ['0.0.0.0/0', '::/0']],
  ['addresses pair as well', ['192.0.2.0', '192.0.2.1'], ['192.0.2.0/31']],
];

for (const [name, given, expected] of TABLE) {
  test(name, () => {
    assert.deepEqual(
      aggregate(networks(...given)).map(({ text }) => text),
      expected,
    );
  });
}

/** Networks within one IPv4 and one IPv6 network of 256 addresses, so that every address can be looked at. */
const small = fc
  .record({ family: fc.constantFrom(4, 6), byte: fc.nat(255), host: fc.nat(8) })
  .map(({ family, byte, host }) => {
    const base = Ip.parse(family === 4 ? `198.51.100.${byte}` : `2001:db8::${byte.toString(16)}`);
    return Cidr.around(base as Ip, (family === 4 ? 32 : 128) - host);
  });

function addressesIn(list: readonly Cidr[]): Set<string> {
  const found = new Set<string>();
  for (let byte = 0; byte < 256; byte++) {
    for (const text of [`198.51.100.${byte}`, `2001:db8::${byte.toString(16)}`]) {
      if (list.some((network) => network.contains(Ip.parse(text) as Ip))) found.add(text);
    }
  }
  return found;
}

/** The fewest networks for a set of bytes, by halving. */
function fewest(bytes: ReadonlySet<number>, from = 0, size = 256): number {
  const inside = [...bytes].filter((byte) => byte >= from && byte < from + size).length;
  if (inside === 0) return 0;
  if (inside === size) return 1;
  return fewest(bytes, from, size / 2) + fewest(bytes, from + size / 2, size / 2);
}

test('aggregation holds exactly the same addresses, in as few networks as there can be', () => {
  fc.assert(
    fc.property(fc.array(small, { maxLength: 40 }), (given) => {
      const result = aggregate(given);
      const expected = addressesIn(given);
      assert.deepEqual(addressesIn(result), expected);
      const bytes = (family: 4 | 6) =>
        new Set(
          [...expected].flatMap((text) => {
            const ip = Ip.parse(text) as Ip;
            return ip.family === family ? [(ip.words.at(-1) as number) & 255] : [];
          }),
        );
      for (const family of [4, 6] as const) {
        const kept = result.filter(({ base }) => base.family === family);
        assert.equal(kept.length, fewest(bytes(family)));
        assert.equal(countAddresses(kept, family), BigInt(bytes(family).size));
      }
    }),
    { numRuns: 60 },
  );
});

test('aggregation does not depend on order, and a second one changes nothing', () => {
  fc.assert(
    fc.property(fc.array(small, { maxLength: 40 }), fc.integer(), (given, seed) => {
      const shuffled = given.map((one, i) => ({ one, key: (i * 7919 + seed) % 101 }));
      shuffled.sort((a, b) => a.key - b.key);
      const texts = (list: readonly Cidr[]) => list.map(({ text }) => text);
      const result = aggregate(given);
      assert.deepEqual(texts(aggregate(shuffled.map(({ one }) => one))), texts(result));
      assert.deepEqual(texts(aggregate(result)), texts(result));
    }),
  );
});
