import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NameTable, NONE, type Reach } from './name-table.ts';
import { Spelling } from './spelling.ts';

const spelling = new Spelling();

/** The lists that a name leads to: by its own entries first, then by those that it lies below, the longest first. */
function listsOf(table: NameTable, name: string): number[] {
  spelling.read(name);
  const lists: number[] = [];
  for (let end = spelling.count - 1; end >= 0; end--) {
    const reach: Reach = end === spelling.count - 1 ? 'exact' : 'below';
    let entry = table.first(spelling, end, reach);
    for (; entry !== NONE; entry = table.next(entry, spelling, end, reach))
      lists.push(table.list(entry));
  }
  return lists;
}

const names = fc.stringMatching(/^[ab-]{1,6}(?:\.[ab-]{1,6}){0,3}$/);
const entries = fc.array(
  fc.record({ name: names, reach: fc.constantFrom<Reach>('exact', 'below') }),
  { maxLength: 100 },
);

describe('a table of names', () => {
  it('leads where a look at every entry leads', () => {
    fc.assert(
      fc.property(entries, fc.array(names), (added, others) => {
        const table = new NameTable();
        added.forEach(({ name, reach }, i) => {
          table.add(spelling.read(name), reach, i, i);
        });
        for (const name of [...added.map((each) => each.name), ...others]) {
          const plain = added.flatMap((each, i) => {
            const fits =
              each.reach === 'exact' ? each.name === name : name.endsWith(`.${each.name}`);
            return fits ? [i] : [];
          });
          assert.deepEqual(
            listsOf(table, name).sort((a, b) => a - b),
            plain,
          );
        }
      }),
    );
  });

  it('keeps names apart whose hashes collide', () => {
    const [one, other] = colliding();
    const table = new NameTable();
    table.add(spelling.read(one), 'exact', 1, 0);
    assert.deepEqual(listsOf(table, other), []);
    table.add(spelling.read(other), 'exact', 2, 0);
    assert.deepEqual(listsOf(table, one), [1]);
    assert.deepEqual(listsOf(table, other), [2]);
  });

  it('keeps ranks, and takes names of any length', () => {
    const table = new NameTable();
    const long = Array.from({ length: 253 }, (_, i) => (i % 64 === 63 ? '.' : 'a')).join('');
    for (let length = 1; length <= 253; length++) {
      const name = long.slice(-length);
      if (!name.startsWith('.')) table.add(spelling.read(name), 'exact', length, 4095);
    }
    for (const length of [1, 2, 3, 4, 5, 63, 65, 128, 252, 253]) {
      const name = long.slice(-length);
      assert.deepEqual(listsOf(table, name), [length]);
      spelling.read(name);
      assert.equal(table.rank(table.first(spelling, spelling.count - 1, 'exact')), 4095);
    }
  });
});

/** Two names of the same length with one hash: among so many there are some (the birthday paradox). */
function colliding(): [string, string] {
  const known = new Map<number, string>();
  const hex = (value: number) => (value >>> 0).toString(16).padStart(8, '0');
  for (let i = 0; i < 1_000_000; i++) {
    const name = `${hex(Math.imul(i, 0x9e3779b1))}${hex(Math.imul(i, 0x85ebca6b))}.example`;
    spelling.read(name);
    const hash = spelling.hashes[spelling.count - 1] as number;
    const other = known.get(hash);
    if (other !== undefined) return [other, name];
    known.set(hash, name);
  }
  throw new Error('no two names collide');
}
