import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cidr, Ip } from './ip.ts';
import { classify } from './traffic-class.ts';

const OWNED = ['10.0.0.0/8', '2600:1f14::/32'].map((text) => Cidr.parse(text) as Cidr);
const IN = '10.1.2.3';
const OUT = '93.184.216.34';

function classes(client: string, way: string | null, destination: string | null) {
  const parse = (text: string | null) => (text === null ? null : (Ip.parse(text) as Ip));
  return classify(
    { client: Ip.parse(client) as Ip, way: parse(way), destination: parse(destination) },
    OWNED,
  );
}

for (const [client, way, destination, external] of [
  [IN, IN, IN, false],
  [OUT, IN, IN, true],
  [IN, OUT, IN, true],
  [IN, IN, OUT, true],
  [IN, null, null, null],
  [IN, IN, null, null],
  [IN, null, IN, null],
  [OUT, null, null, true],
  [IN, OUT, null, true],
  [IN, null, OUT, true],
] as const) {
  test(`client ${client}, way ${way}, destination ${destination}: external is ${external}`, () => {
    assert.equal(classes(client, way, destination).external, external);
  });
}

test('each party is told apart, and an unknown one is null', () => {
  assert.deepEqual(classes(IN, OUT, null), {
    client: 'internal',
    way: 'external',
    destination: null,
    external: true,
  });
});

test('an address lies where the IPv4 address inside it lies', () => {
  assert.equal(classes(IN, IN, '64:ff9b::10.9.9.9').destination, 'internal');
  assert.equal(classes(IN, IN, '64:ff9b::93.184.216.34').destination, 'external');
  assert.equal(classes(IN, IN, '::ffff:10.9.9.9').destination, 'internal');
  assert.equal(classes(IN, IN, '2600:1f14::9').destination, 'internal');
});

test('where nothing is owned, everything is external', () => {
  const ip = Ip.parse(IN) as Ip;
  assert.equal(classify({ client: ip, way: null, destination: null }, []).external, true);
});
