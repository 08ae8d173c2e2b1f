import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ip } from '../core/ip.ts';
import { inDialOrder } from './address-order.ts';

function order(...texts: string[]): string[] {
  return inDialOrder(texts.map((text) => Ip.parse(text) as Ip)).map(String);
}

test('families take turns, IPv6 first, each in its own order', () => {
  assert.deepEqual(order('1.0.0.2', '1.0.0.1', '1.0.0.3', '2606::2', '2606::1'), [
    '2606::2',
    '1.0.0.2',
    '2606::1',
    '1.0.0.1',
    '1.0.0.3',
  ]);
  assert.deepEqual(order('1.0.0.1'), ['1.0.0.1']);
  assert.deepEqual(order(), []);
});

test('an address stands once, in whatever form it came', () => {
  assert.deepEqual(order('1.0.0.1', '::ffff:1.0.0.1', '2606::1', '2606:0::1'), [
    '2606::1',
    '1.0.0.1',
  ]);
});

test('a huge answer is cut, and no family crowds out the other', () => {
  const many = Array.from({ length: 3_000 }, (_, i) => `1.1.${i >> 8}.${i & 255}`);
  const ordered = order(...many, '2606::1');
  assert.equal(ordered.length, 17);
  assert.equal(ordered[0], '2606::1');
});
