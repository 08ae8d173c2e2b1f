import { aggregate, countAddresses } from '../core/aggregate.ts';
import type { Cidr } from '../core/ip.ts';

type Measure = readonly [of: string, size: (networks: readonly Cidr[]) => number | bigint];

/** By either a torn or mistaken list is told: fewer networks, or as many that hold less. */
const MEASURES: readonly Measure[] = [
  ['networks', ({ length }) => length],
  ['IPv4 addresses', (networks) => countAddresses(aggregate(networks), 4)],
  ['IPv6 networks of 64 bits', (networks) => countAddresses(aggregate(networks), 6) >> 64n],
];

/** What a list has too little of now. */
export interface Shrinkage {
  readonly of: string;
  readonly now: string;
  readonly before: string;
}

/** @param most the part that may go at once; undefined is returned where no more than that went */
export function shrinkageOf(
  now: readonly Cidr[],
  before: readonly Cidr[],
  most: number,
): Shrinkage | undefined {
  for (const [of, size] of MEASURES) {
    const [has, had] = [size(now), size(before)];
    if (Number(has) >= Number(had) * (1 - most) && (has > 0 || Number(had) === 0)) continue;
    return { of, now: has.toLocaleString('en'), before: had.toLocaleString('en') };
  }
  return undefined;
}
