import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Config, ListState, SetConfig } from '../config/config.ts';
import type { PublishedSetConfig } from '../config/ranges-config.ts';
import { Cidr } from '../core/ip.ts';
import type { Work } from '../core/work.ts';
import type { RangeSet } from '../ranges/range-sets.ts';

/** What a set of the gateway's own rules takes of its list, as text: it may come from another thread. */
export interface HeldSet {
  readonly set: string;
  /** The set of that name may have become another one meanwhile. */
  readonly source: PublishedSetConfig;
  readonly networks: readonly string[];
  readonly list: ListState;
}

/** Undefined: nothing is known of its list. */
export function heldOf({ name, source, networks, token, seenMs }: RangeSet): HeldSet | undefined {
  if (source === undefined || seenMs === undefined) return undefined;
  const texts = networks.map(String);
  const sha256 = createHash('sha256').update(texts.join('\n')).digest('hex');
  return {
    set: name,
    source,
    networks: texts,
    list: { token: token?.toString(), seenMs, sha256 },
  };
}

/** The configuration with what its sets hold. Where that is what they held already, only the age of a list changes. */
export function* holding(config: Config, held: readonly HeldSet[]): Work<Config> {
  const sets = new Map(config.sets);
  for (const { set: name, source, networks, list } of held) {
    const set = sets.get(name);
    if (set === undefined || !isDeepStrictEqual(set.published, source)) continue;
    if (set.list?.sha256 === list.sha256) {
      sets.set(name, { ...set, list });
      continue;
    }
    const entries: SetConfig['entries'][number][] = [];
    for (const text of networks) {
      entries.push({ kind: 'network', cidr: Cidr.parse(text) as Cidr });
      yield;
    }
    sets.set(name, { ...set, entries, list });
  }
  return { ...config, sets };
}

/** How the list of a set stands. */
export type ListStanding = 'current' | 'old' | 'closed';

/** @param now milliseconds since the epoch */
export function standingOf({ published, list }: SetConfig, now: number): ListStanding {
  if (published === undefined || list === undefined) return 'current';
  if (now - list.seenMs <= published.maxAgeMs) return 'current';
  return published.tooOld === 'close' ? 'closed' : 'old';
}

/** The configuration in which no set is closed. */
export function opening(config: Config): Config {
  return closing(config, Number.NEGATIVE_INFINITY);
}

/** The configuration in which the sets are closed whose lists are too old, and no others. */
export function closing(config: Config, now: number): Config {
  const isClosed = (set: SetConfig) => standingOf(set, now) === 'closed';
  const sets = Array.from(config.sets, ([name, set]): [string, SetConfig] =>
    isClosed(set) === (set.closed ?? false) ? [name, set] : [name, { ...set, closed: !set.closed }],
  );
  return { ...config, sets: new Map(sets) };
}
