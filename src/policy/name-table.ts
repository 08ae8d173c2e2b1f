import type { Spelling } from './spelling.ts';

/** Whether an entry is for the very name, or for the names below it. */
export type Reach = 'exact' | 'below';

/** No entry. */
export const NONE = -1;

const FIRST_SLOTS = 16;
const FIRST_CELLS = 256;

/** What stands from an entry's number on: its traits, the next entry, its list, the words of its name. */
const [TRAITS, NEXT, LIST, WORDS] = [0, 1, 2, 3] as const;

/** Traits, from the lowest bit: the length of the name, its reach, its rank. */
const LENGTH = 0xff;
const BELOW = 0x100;
const RANK_SHIFT = 9;

/**
 * Names, and names that others lie below, each with the number of a list of rules and a rank.
 *
 * What a decision takes is time to wait for memory. So all is in two flat arrays: among a hundred thousand names, one that
 * is unknown costs one line of a cache, one that is known one or two more.
 */
export class NameTable {
  /** Pairs: a hash, and the first entry that has it. Open addressing, at most half full. */
  #slots = new Int32Array(2 * FIRST_SLOTS).fill(NONE);
  #used = 0;
  /** Entries. The next one of each is another of the same hash. */
  #cells = new Int32Array(FIRST_CELLS);
  #end = 0;
  /** By length: whether there is a name of it that others lie below. Saves looking most suffixes up. */
  readonly #below = new Uint8Array(LENGTH + 1);

  /** @param rank below 2 ** 22 */
  add(spelling: Spelling, reach: Reach, list: number, rank: number): void {
    if (4 * (this.#used + 1) > this.#slots.length) this.#growSlots();
    const hash = hashOf(spelling.hashes[spelling.count - 1] as number, reach);
    const at = this.#slotOf(hash);
    const next = this.#slots[at + 1] as number;
    if (next === NONE) this.#used++;
    const { length } = spelling.name;
    this.#slots[at] = hash;
    this.#slots[at + 1] = this.#append(spelling, [
      traitsOf(length, reach) | (rank << RANK_SHIFT),
      next,
      list,
    ]);
    if (reach === 'below') this.#below[length] = 1;
  }

  /** The first entry for an end of what is spelt. */
  first(spelling: Spelling, end: number, reach: Reach): number {
    if (this.#used === 0) return NONE;
    if (reach === 'below' && this.#below[spelling.lengths[end] as number] === 0) return NONE;
    const at = this.#slotOf(hashOf(spelling.hashes[end] as number, reach));
    return this.#matching(this.#slots[at + 1] as number, spelling, end, reach);
  }

  /** The one after another. */
  next(entry: number, spelling: Spelling, end: number, reach: Reach): number {
    return this.#matching(this.#cells[entry + NEXT] as number, spelling, end, reach);
  }

  rank(entry: number): number {
    return (this.#cells[entry + TRAITS] as number) >> RANK_SHIFT;
  }

  list(entry: number): number {
    return this.#cells[entry + LIST] as number;
  }

  /** The first entry, from one on, whose hash is no coincidence. */
  #matching(from: number, spelling: Spelling, end: number, reach: Reach): number {
    const cells = this.#cells;
    const length = spelling.lengths[end] as number;
    const traits = traitsOf(length, reach);
    for (let entry = from; entry !== NONE; entry = cells[entry + NEXT] as number) {
      const own = (cells[entry + TRAITS] as number) & (LENGTH | BELOW);
      if (own === traits && this.#spells(entry + WORDS, spelling.words, length)) return entry;
    }
    return NONE;
  }

  #spells(at: number, words: Int32Array, length: number): boolean {
    const cells = this.#cells;
    const whole = length >> 2;
    for (let i = 0; i < whole; i++) if (cells[at + i] !== words[i]) return false;
    const rest = (1 << (8 * (length & 3))) - 1;
    return cells[at + whole] === ((words[whole] as number) & rest);
  }

  /** Where a hash is in `#slots`, or belongs. */
  #slotOf(hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = (2 * hash) & mask;
    while (slots[at + 1] !== NONE && slots[at] !== hash) at = (at + 2) & mask;
    return at;
  }

  #append({ name, words }: Spelling, head: readonly number[]): number {
    const entry = this.#end;
    const count = (name.length >> 2) + 1;
    this.#end += WORDS + count;
    if (this.#end > this.#cells.length) {
      const more = new Int32Array(2 * this.#cells.length);
      more.set(this.#cells);
      this.#cells = more;
    }
    this.#cells.set(head, entry);
    for (let i = 0; i < count; i++) this.#cells[entry + WORDS + i] = words[i] as number;
    return entry;
  }

  #growSlots(): void {
    const before = this.#slots;
    this.#slots = new Int32Array(2 * before.length).fill(NONE);
    for (let i = 0; i < before.length; i += 2) {
      if (before[i + 1] === NONE) continue;
      const at = this.#slotOf(before[i] as number);
      this.#slots[at] = before[i] as number;
      this.#slots[at + 1] = before[i + 1] as number;
    }
  }
}

function traitsOf(length: number, reach: Reach): number {
  return length | (reach === 'below' ? BELOW : 0);
}

function hashOf(hash: number, reach: Reach): number {
  return reach === 'below' ? ~hash : hash;
}
