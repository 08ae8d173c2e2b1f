import type { RangesFilter } from '../config/ranges-config.ts';
import type { Cidr } from '../core/ip.ts';

/** A published list, as values. */
export interface PublishedList {
  /** What its publisher counts its versions by: larger is newer. */
  readonly token: bigint | undefined;
  readonly prefixes: readonly PublishedPrefix[];
}

export interface PublishedPrefix {
  readonly network: Cidr;
  /** By what it can be filtered; several words where one thing has several names. */
  readonly labels: Readonly<Partial<Record<RangesFilter, readonly string[]>>>;
}
