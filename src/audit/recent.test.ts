import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecentExchanges } from './recent.ts';

const idOf = (n: number) => `0190-${n.toString(16).padStart(12, '0')}`;
const lineOf = (id: string, note: string) => `${JSON.stringify({ id, note })}\n`;

test('the lines of an exchange come back in order', () => {
  const recent = new RecentExchanges();
  for (const note of ['name', 'hello', 'end']) {
    recent.add(idOf(1), lineOf(idOf(1), note));
    recent.add(idOf(2), lineOf(idOf(2), 'other'));
  }
  assert.deepEqual(
    recent.find(idOf(1)).map((line) => JSON.parse(line).note),
    ['name', 'hello', 'end'],
  );
  assert.deepEqual(recent.find(idOf(3)), []);
  assert.deepEqual(recent.find('no id'), []);
});

test('ids that share their last digits are told apart', () => {
  const recent = new RecentExchanges();
  const [one, other] = ['a-0000001', 'b-0000001'];
  recent.add(one, lineOf(one, 'one'));
  recent.add(other, lineOf(other, 'other'));
  assert.deepEqual(recent.find(one), [lineOf(one, 'one')]);
  assert.deepEqual(recent.find(other), [lineOf(other, 'other')]);
});

test('a line that is larger than the memory is left out', () => {
  const recent = new RecentExchanges({ lines: 10, bytes: 1000 });
  recent.add(idOf(1), lineOf(idOf(1), 'x'.repeat(1000)));
  assert.deepEqual(recent.find(idOf(1)), []);
});

test('however lines come, the latest are there and none is another’s', () => {
  const add = fc.record({
    exchange: fc.integer({ min: 0, max: 6 }),
    note: fc.string({ maxLength: 60, unit: 'binary' }),
  });
  fc.assert(
    fc.property(fc.array(add, { maxLength: 80 }), (adds) => {
      const recent = new RecentExchanges({ lines: 8, bytes: 1200 });
      const all = new Map<string, string[]>();
      for (const { exchange, note } of adds) {
        const id = idOf(exchange);
        const line = lineOf(id, note.toWellFormed());
        recent.add(id, line);
        all.set(id, [...(all.get(id) ?? []), line]);
        assert.equal(recent.find(id).at(-1), line);
      }
      for (const [id, lines] of all) {
        const found = recent.find(id);
        assert.deepEqual(found, lines.slice(lines.length - found.length));
      }
    }),
  );
});
