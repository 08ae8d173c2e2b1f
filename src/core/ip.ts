import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * An IP address as a value: parsed strictly once, compared by words, printed in one canonical form (RFC 5952).
 *
 * `::ffff:a.b.c.d` is the IPv4 address inside it, since that is what a dial to it reaches.
 */
export class Ip {
  readonly family: 4 | 6;
  /** 32-bit words, most significant first: one for IPv4, four for IPv6. */
  readonly words: readonly number[];
  readonly text: string;

  private constructor(family: 4 | 6, words: readonly number[], text: string) {
    this.family = family;
    this.words = words;
    this.text = text;
  }

  /** Parses a strict dotted quad or an IPv6 address without brackets and zone id; anything else gives undefined. */
  static parse(text: string): Ip | undefined {
    if (isIPv4(text)) return Ip.fromBytes(ipaddr.IPv4.parse(text).toByteArray());
    if (!isIPv6(text) || text.includes('%')) return undefined;
    return Ip.fromBytes(ipaddr.IPv6.parse(text).toByteArray());
  }

  /** From 4 or 16 bytes in network order. */
  static fromBytes(bytes: ArrayLike<number>): Ip {
    const words: number[] = [];
    for (let i = 0; i < bytes.length; i += 4) words.push(wordAt(bytes, i));
    return Ip.fromWords(words);
  }

  private static fromWords(words: readonly number[]): Ip {
    if (words.length === 1) return new Ip(4, words, quad(words[0] as number));
    if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
      return Ip.fromWords([words[3] as number]);
    }
    return new Ip(6, words, new ipaddr.IPv6(words.flatMap(octets)).toRFC5952String());
  }

  /**
   * The IPv4 address that an IPv6 address stands for, where it does: v4-translated (RFC 2765), NAT64 (RFC 6052) and
   * 6to4 (RFC 3056). Such an address reaches what is inside, so it is classed by what is inside.
   */
  get inner(): Ip | undefined {
    if (this.family === 4) return undefined;
    const [a, b, c, d] = this.words as [number, number, number, number];
    if (a === 0 && b === 0 && c === 0xffff0000) return Ip.fromWords([d]);
    if (a === 0x0064ff9b && b === 0 && c === 0) return Ip.fromWords([d]);
    if (a >>> 16 === 0x2002) return Ip.fromWords([(((a & 0xffff) << 16) | (b >>> 16)) >>> 0]);
    return undefined;
  }

  /** As it stands in an authority: IPv6 in brackets. */
  get bracketed(): string {
    return this.family === 6 ? `[${this.text}]` : this.text;
  }

  /** 4 or 16 bytes in network order. */
  get bytes(): Buffer {
    const bytes = Buffer.allocUnsafe(4 * this.words.length);
    for (const [i, word] of this.words.entries()) bytes.writeUInt32BE(word, 4 * i);
    return bytes;
  }

  equals(other: Ip): boolean {
    return this.text === other.text;
  }

  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }
}

/** A network: an address and the number of leading bits that count. */
export class Cidr {
  readonly base: Ip;
  readonly bits: number;

  private constructor(base: Ip, bits: number) {
    this.base = base;
    this.bits = bits;
  }

  /**
   * Parses `ADDRESS/BITS`, or a lone address as the network of itself. Bits beyond the prefix must be zero: a typing
   * error in a network opens more or less than its author reads. Anything else gives undefined.
   */
  static parse(text: string): Cidr | undefined {
    const slash = text.indexOf('/');
    const base = Ip.parse(slash < 0 ? text : text.slice(0, slash));
    if (base === undefined) return undefined;
    const width = base.family === 4 ? 32 : 128;
    if (slash < 0) return new Cidr(base, width);
    const suffix = text.slice(slash + 1);
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(suffix) || Number(suffix) > width) return undefined;
    const cidr = new Cidr(base, Number(suffix));
    return cidr.network().every((word, i) => word === base.words[i]) ? cidr : undefined;
  }

  static of(ip: Ip): Cidr {
    return new Cidr(ip, ip.family === 4 ? 32 : 128);
  }

  /** The network of that many leading bits that an address lies in. @param bits at most the address's own */
  static around(ip: Ip, bits: number): Cidr {
    const bytes = ip.words.map((word, i) => (word & wordMask(bits - 32 * i)) >>> 0).flatMap(octets);
    return new Cidr(Ip.fromBytes(bytes), bits);
  }

  /** Always with the number of its bits: `10.0.0.7/32`. */
  get text(): string {
    return `${this.base.text}/${this.bits}`;
  }

  /** A network of one address only. */
  get exact(): boolean {
    return this.bits === (this.base.family === 4 ? 32 : 128);
  }

  contains(ip: Ip): boolean {
    if (ip.family !== this.base.family) return false;
    for (let i = 0, left = this.bits; left > 0; i++, left -= 32) {
      const mask = wordMask(left);
      if (((ip.words[i] as number) & mask) !== ((this.base.words[i] as number) & mask))
        return false;
    }
    return true;
  }

  /** Whether every address of this network lies in the other. */
  inside(other: Cidr): boolean {
    return this.bits >= other.bits && other.contains(this.base);
  }

  private network(): number[] {
    return this.base.words.map((word, i) => (word & wordMask(this.bits - 32 * i)) >>> 0);
  }

  toString(): string {
    return this.exact ? this.base.text : `${this.base.text}/${this.bits}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

function wordMask(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

function wordAt(bytes: ArrayLike<number>, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] as number[];
  return (
    (((a as number) << 24) | ((b as number) << 16) | ((c as number) << 8) | (d as number)) >>> 0
  );
}

function octets(word: number): number[] {
  return [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff];
}

function quad(word: number): string {
  return octets(word).join('.');
}
