import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Gathering } from './gathering.ts';

test('chunks come out in order, and what was returned stays as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 })), (chunks) => {
      const gathering = new Gathering();
      let expected = Buffer.alloc(0);
      const returned: { view: Buffer; copy: Buffer }[] = [];
      for (const chunk of chunks) {
        const view = gathering.add(Buffer.from(chunk));
        expected = Buffer.concat([expected, chunk]);
        assert.deepEqual(view, expected);
        returned.push({ view, copy: Buffer.from(view) });
      }
      assert.deepEqual(gathering.bytes, expected);
      assert.equal(gathering.length, expected.length);
      for (const { view, copy } of returned) assert.deepEqual(view, copy);
    }),
  );
});

test('a lone chunk is not copied, and never written behind', () => {
  const segment = Buffer.from('headNEXT');
  const gathering = new Gathering();
  assert.equal(gathering.add(segment.subarray(0, 4)).buffer, segment.buffer);
  gathering.add(Buffer.from('more'));
  assert.equal(segment.toString(), 'headNEXT');
});
