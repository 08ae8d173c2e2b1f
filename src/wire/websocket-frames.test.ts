import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFrameHeader } from './websocket-frames.ts';

const CASES: [what: string, bytes: string, size: number, length: number][] = [
  ['a short text', '8105', 2, 5],
  ['the longest short one', '827d', 2, 125],
  ['a length of two bytes', '827e0100', 4, 256],
  ['a length of eight bytes', '827f0000000100000000', 10, 2 ** 32],
  ['the beginning of a message', '0101', 2, 1],
  ['a close', '880203e8', 2, 2],
];

for (const [what, hex, size, length] of CASES) {
  test(`the header of ${what} is read once it is whole`, () => {
    const bytes = Buffer.from(hex, 'hex');
    for (let cut = 0; cut < size; cut++)
      assert.equal(readFrameHeader(bytes.subarray(0, cut)), undefined);
    const header = readFrameHeader(bytes);
    assert.deepEqual([header?.size, header?.length], [size, length]);
  });
}

test('a header tells what it begins, goes on with and ends', () => {
  const read = (hex: string) => readFrameHeader(Buffer.from(hex, 'hex'));
  const kinds = (hex: string) => {
    const { control, continues, last } = read(hex) ?? {};
    return [control, continues, last];
  };
  assert.deepEqual(kinds('0105'), [false, false, false]);
  assert.deepEqual(kinds('0005'), [false, true, false]);
  assert.deepEqual(kinds('8005'), [false, true, true]);
  assert.deepEqual(kinds('8200'), [false, false, true]);
  for (const control of ['8800', '8900', '8a00'])
    assert.deepEqual(kinds(control), [true, false, true]);
});

const REFUSED: [what: string, hex: string, message: RegExp][] = [
  ['a compressed message', 'c105', /extension/],
  ['another reserved bit', '9105', /extension/],
  ['a masked frame', '8185', /masked/],
  ['an unknown kind of data', '8305', /unknown/],
  ['an unknown kind of control', '8b05', /unknown/],
  ['a ping in pieces', '0905', /too long/],
  ['a long ping', '897e', /too long/],
  ['a length beyond all numbers', '827fffffffffffffffff', /longer/],
];

for (const [what, hex, message] of REFUSED) {
  test(`${what} of a server is refused`, () => {
    assert.throws(() => readFrameHeader(Buffer.from(hex, 'hex')), {
      code: 'upstream-reset',
      message,
    });
  });
}
