import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../core/diagnostic.ts';
import { Cidr, Ip } from '../core/ip.ts';
import { nearest } from './nearest.ts';
import { parseNetwork } from './networks.ts';
import { parseDuration, parseLastDay, parsePorts, parseSize, parseTimer } from './units.ts';

test('durations and sizes are read in their units', () => {
  assert.deepEqual(
    ['7ms', '5s', '2m', '3h', '400d'].map(parseDuration),
    [7, 5000, 120_000, 10_800_000, 34_560_000_000],
  );
  assert.deepEqual(
    ['7B', '64KiB', '2MiB', '1GiB'].map(parseSize),
    [7, 65_536, 2_097_152, 1_073_741_824],
  );
});

test('anything but a whole number with its unit is a fault, never a guess', () => {
  for (const text of [
    '',
    '5',
    's',
    '-5s',
    '1.5s',
    ' 5s',
    '5s ',
    '5 s',
    '5S',
    '5sec',
    '1h30m',
    '٥s',
    '1e3s',
  ]) {
    assert.throws(() => parseDuration(text), Fault, text);
  }
  for (const text of ['64', '64K', '64kb', '64 KiB', '0x1KiB']) {
    assert.throws(() => parseSize(text), Fault, text);
  }
});

test('no timer is so long that it would fire at once', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000_000), fc.constantFrom('ms', 's', 'm', 'h', 'd'), (count, unit) => {
      try {
        assert.ok(parseTimer(`${count}${unit}`) < 2 ** 31);
      } catch (error) {
        assert.ok(error instanceof Fault);
      }
    }),
  );
});

test('a last day ends with its last millisecond, UTC, on days that exist', () => {
  assert.equal(new Date(parseLastDay('2028-02-29')).toISOString(), '2028-02-29T23:59:59.999Z');
  for (const text of [
    '2027-02-29',
    '2027-13-01',
    '2027-1-1',
    '27-01-01',
    '2027-01-01T00:00',
    'soon',
  ]) {
    assert.throws(() => parseLastDay(text), Fault, text);
  }
});

test('ports are one port or a range that goes up', () => {
  assert.deepEqual(parsePorts('1-65535'), { first: 1, last: 65_535 });
  assert.deepEqual(parsePorts('443-443'), { first: 443, last: 443 });
  for (const text of ['', '0', '65536', '0443', '2-1', '1-', '-1', '1-2-3', '+1']) {
    assert.throws(() => parsePorts(text), Fault, text);
  }
});

test('the remedy for bits beyond a prefix is the network that holds the address', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(bytes, fc.nat(128), (address, length) => {
      const ip = Ip.fromBytes(address);
      const bits = length % (ip.family === 4 ? 33 : 129);
      try {
        parseNetwork(`${ip}/${bits}`);
      } catch (error) {
        assert.ok(error instanceof Fault);
        const [, right = ''] = /^write (\S+) for the network/.exec(error.remedy) ?? [];
        assert.ok(Cidr.parse(right)?.contains(ip), error.remedy);
        assert.equal(Cidr.parse(right)?.bits, bits);
      }
    }),
  );
});

test('a hint is the nearest word, and none where none is near', () => {
  const words = ['listeners', 'principals', 'rules', 'to', 'via'];
  const hints = ['listner', 'Principals', 'ruels', 'rulez', 'ot', 'TO', 'vai', 'exits', 'x'].map(
    (word) => nearest(word, words),
  );
  assert.deepEqual(hints, [
    'listeners',
    'principals',
    'rules',
    'rules',
    undefined,
    'to',
    'via',
    undefined,
    undefined,
  ]);
});
