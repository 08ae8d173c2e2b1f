import { Cidr } from './ip.ts';

/**
 * The fewest networks that hold exactly the addresses of the given ones: what another network contains is dropped, and two
 * halves become their whole. Never an address more. In order: IPv4 first, then by base.
 */
export function aggregate(networks: Iterable<Cidr>): Cidr[] {
  const kept: Cidr[] = [];
  for (const network of [...networks].sort(compareNetworks)) {
    const last = kept.at(-1);
    if (last !== undefined && network.inside(last)) continue;
    kept.push(network);
    joinHalves(kept);
  }
  return kept;
}

/** By family, base and, the broader one first, bits. */
export function compareNetworks(a: Cidr, b: Cidr): number {
  if (a.base.family !== b.base.family) return a.base.family - b.base.family;
  for (let i = 0; i < a.base.words.length; i++) {
    const difference = (a.base.words[i] as number) - (b.base.words[i] as number);
    if (difference !== 0) return difference;
  }
  return a.bits - b.bits;
}

function joinHalves(kept: Cidr[]): void {
  for (let upper = kept.at(-1), lower = kept.at(-2); ; upper = kept.at(-1), lower = kept.at(-2)) {
    if (upper === undefined || lower === undefined || upper.bits !== lower.bits) return;
    if (upper.base.family !== lower.base.family || upper.bits === 0) return;
    const whole = Cidr.around(lower.base, lower.bits - 1);
    if (!upper.inside(whole) || !lower.inside(whole)) return;
    kept.splice(-2, 2, whole);
  }
}

/** How many addresses of one family lie in networks that do not overlap. */
export function countAddresses(networks: Iterable<Cidr>, family: 4 | 6): bigint {
  let count = 0n;
  for (const { base, bits } of networks) {
    if (base.family === family) count += 1n << BigInt((family === 4 ? 32 : 128) - bits);
  }
  return count;
}
