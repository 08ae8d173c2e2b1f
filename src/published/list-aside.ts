import { beside, runAside } from '../aside.ts';
import type { Config } from '../config/config.ts';
import { placeOf } from '../ranges/last-good.ts';
import { RangesError } from '../ranges/ranges-error.ts';
import type { HeldSet } from './held-set.ts';

/** What the thread is given: sets of one list, and how to come by it. */
export interface ListErrand {
  readonly names: readonly string[];
  readonly sets: Config['sets'];
  readonly gateway: { readonly dataDir: string };
  readonly ranges: Pick<Config['ranges'], 'fetch' | 'shrink'>;
}

/** What it found for one set. */
export interface SetFound {
  readonly set: string;
  /** Undefined: there is nothing to go by. */
  readonly held: HeldSet | undefined;
  /** What keeps it at its last good copy. */
  readonly problem: { readonly code: string; readonly message: string } | undefined;
}

export type ListFound = readonly SetFound[];

/** What tries and the waits between them take at most, and some more. */
const BETWEEN_TRIES_MS = 30_000;

/**
 * Looks for a newer list at its publisher, in a thread of its own: to read ten thousand networks and join them takes longer
 * than an exchange may wait. What it finds is a draft among the copies until it is accepted.
 *
 * @param names sets of the configuration that follow one list
 * @throws RangesError `ranges-unavailable` where there was no answer; AbortError
 */
export function lookAside(
  { sets, gateway, ranges }: Config,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ListFound> {
  const { fetch, shrink } = ranges;
  const list = sets.get(names[0] as string)?.published;
  const place = list && placeOf(list);
  // All that go by the list, those of targets too: what is bad for one of them is used for none.
  const sharing = Array.from(sets).flatMap(([name, { published, at }]) =>
    published !== undefined && placeOf(published) === place
      ? [[name, { entries: [], published, at }] as const]
      : [],
  );
  const errand: ListErrand = {
    names,
    sets: new Map(sharing),
    gateway: { dataDir: gateway.dataDir },
    ranges: { fetch, shrink },
  };
  return runAside(beside(import.meta.url, 'list-thread'), errand, {
    limitMs: (fetch.retries + 1) * (fetch.timeoutMs + BETWEEN_TRIES_MS),
    unanswered: () => new RangesError('ranges-unavailable', 'its publisher gave no answer in time'),
    signal,
  });
}
