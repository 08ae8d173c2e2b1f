/** More characters and labels than any name has (RFC 1035 2.3.4). */
const MOST = 256;

/**
 * A name being looked up: its characters in words, and a hash of each of its ends at labels.
 *
 * One of them serves one name after the other, so that a decision allocates nothing for it; a name that is the same as
 * before is not read again.
 */
export class Spelling {
  name = '';
  /** Four characters each, from the end of the name backwards: so names that end alike begin with the same words. */
  readonly words = new Int32Array(MOST / 4);
  /** Ends of the name, from the shortest one to the whole name. */
  count = 0;
  /** How many characters each has. */
  readonly lengths = new Uint8Array(MOST);
  /** 32 bits each, of its characters. */
  readonly hashes = new Int32Array(MOST);

  /** @param name of at most 253 ASCII characters */
  read(name: string): this {
    if (name !== this.name || this.count === 0) this.#read(name);
    return this;
  }

  #read(name: string): void {
    const { words, lengths, hashes } = this;
    const { length } = name;
    if (length >= MOST) throw new RangeError('no host has so long a name');
    let [hash, word, count] = [SEED, 0, 0];
    for (let read = 0; read < length; read++) {
      const char = name.charCodeAt(length - read - 1);
      if (char === DOT) {
        lengths[count] = read;
        hashes[count++] = mix(hash, word);
      }
      word |= char << (8 * (read & 3));
      if ((read & 3) === 3) {
        words[read >> 2] = word;
        hash = mix(hash, word);
        word = 0;
      }
    }
    words[length >> 2] = word;
    lengths[count] = length;
    hashes[count++] = mix(hash, word);
    this.count = count;
    this.name = name;
  }
}

const DOT = 0x2e;
// FNV-1a, by words. Names whose hashes collide cost a comparison more: what is found is compared with the name itself.
const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, PRIME);
  // A product's low bits know nothing of the high bits of its factors.
  return mixed ^ (mixed >>> 15);
}
