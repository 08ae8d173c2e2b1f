import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, network, publishedSet } from '../../test/support/policy.ts';
import { liesIn, networksIn, PublishedNetworks } from './networks.ts';
import { finish } from './work.ts';

const MANY = Array.from({ length: 500 }, (_, i) => `13.${i >> 8}.${i & 255}.0/24`);
const SETS = new Map([
  ['many', publishedSet([...MANY, '2001:db8::/32'])],
  ['old', publishedSet(['198.51.100.0/24'], true)],
]);
const published = finish(PublishedNetworks.making(SETS));

test('a list holds its own networks, those of its sets, and none for sure of a set that is closed', () => {
  const list = published.of([network('10.0.0.0/8'), 'many', 'old']);
  const rows: readonly [string, boolean | 'unsure'][] = [
    ['10.1.1.1', true],
    ['13.0.7.1', true],
    ['13.1.243.1', true],
    ['13.1.244.1', false],
    ['2001:db8::1', true],
    ['2001:db9::1', false],
    ['198.51.100.1', 'unsure'],
    ['198.51.101.1', false],
  ];
  for (const [ip, expected] of rows) assert.equal(liesIn(list, address(ip)), expected, ip);
});

test('what a list holds besides is not made unsure by a closed set', () => {
  const list = published.of([network('198.51.100.7'), 'old']);
  assert.equal(liesIn(list, address('198.51.100.7')), true);
  assert.equal(liesIn(list, address('198.51.100.8')), 'unsure');
});

test('a set that nobody defined is never read as an empty one', () => {
  assert.throws(() => published.of(['gone']), TypeError);
  assert.throws(() => networksIn(['gone'], SETS), TypeError);
});
