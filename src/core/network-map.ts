import type { Cidr, Ip } from './ip.ts';

/**
 * Values filed under networks, found by an address that lies in them.
 *
 * Costs one lookup per distinct prefix length, however many networks there are.
 */
export class NetworkMap<T> {
  readonly #v4 = new Map<number, Map<string | number, T[]>>();
  readonly #v6 = new Map<number, Map<string | number, T[]>>();

  add(cidr: Cidr, value: T): void {
    const lengths = cidr.base.family === 4 ? this.#v4 : this.#v6;
    const networks = lengths.get(cidr.bits) ?? new Map<string | number, T[]>();
    lengths.set(cidr.bits, networks);
    const key = prefix(cidr.base.words, cidr.bits);
    const values = networks.get(key);
    if (values === undefined) networks.set(key, [value]);
    else values.push(value);
  }

  /** The values of every network that contains the address in its own family, in no order. */
  find(ip: Ip): T[] {
    const found: T[] = [];
    for (const [bits, networks] of ip.family === 4 ? this.#v4 : this.#v6) {
      const values = networks.get(prefix(ip.words, bits));
      if (values !== undefined) found.push(...values);
    }
    return found;
  }

  /** Whether some network contains the address in its own family. */
  has(ip: Ip): boolean {
    for (const [bits, networks] of ip.family === 4 ? this.#v4 : this.#v6) {
      if (networks.has(prefix(ip.words, bits))) return true;
    }
    return false;
  }
}

function prefix(words: readonly number[], bits: number): string | number {
  const masked = words.map((word, i) => firstBits(word, bits - 32 * i));
  return masked.length === 1 ? (masked[0] as number) : masked.join(':');
}

function firstBits(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word : (word & (-1 << (32 - bits))) >>> 0;
}
