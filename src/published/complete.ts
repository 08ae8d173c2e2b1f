import type { Config } from '../config/config.ts';
import type { Loaded } from '../config/load.ts';
import { publishedInUse } from '../config/published-uses.ts';
import { ListFetcher } from '../ranges/fetch/url.ts';
import { LastGoodCopies, listsDir } from '../ranges/last-good.ts';
import { readRangeSets } from '../ranges/range-sets.ts';
import { RangesError } from '../ranges/ranges-error.ts';
import { OWN_SURROUNDINGS } from '../ranges/surroundings.ts';
import { inSlices } from '../slices.ts';
import { closing, type HeldSet, heldOf, holding } from './held-set.ts';

/** A start or a reload waits no longer for lists that were never fetched. */
const LIMIT_MS = 60_000;

/** The configuration with what the last good copies have. Sets that there is none for stay unknown: they have no `list`. */
export async function recallLists(config: Config): Promise<Config> {
  const names = publishedInUse(config);
  if (names.length === 0) return config;
  const copies = new LastGoodCopies(listsDir(config));
  const found = await readRangeSets(config, names, { copies });
  return inSlices(holding(config, goodOnes([...found.values()])));
}

/**
 * The same, and lists are fetched that there is no copy of: those of a new gateway, and of sets that are new. Where there is
 * a copy, nobody waits for a publisher.
 *
 * @throws RangesError `ranges-unavailable`, `ranges-refused`: nothing is known of a set
 */
export async function completeLists(config: Config): Promise<Config> {
  const recalled = await recallLists(config);
  const missing = publishedInUse(recalled).filter((name) => !recalled.sets.get(name)?.list);
  if (missing.length === 0) return recalled;
  const fetcher = new ListFetcher(config.ranges.fetch, OWN_SURROUNDINGS);
  const signal = AbortSignal.timeout(LIMIT_MS);
  try {
    const found = await readRangeSets(recalled, missing, {
      copies: new LastGoodCopies(listsDir(config)),
      fetch: (wanted) => fetcher.fetch(wanted, signal),
      shrink: config.ranges.shrink,
      now: Date.now,
      signal,
    });
    for (const [name, set] of found) if (set instanceof RangesError) throw unknown(name, set);
    return await inSlices(holding(recalled, goodOnes([...found.values()])));
  } catch (error) {
    if (!signal.aborted) throw error;
    throw unknown(missing.join(', '), new RangesError('ranges-unavailable', 'no answer in time'));
  } finally {
    await fetcher.close();
  }
}

/** What a gateway starts with: as `completeLists`, and closed where a copy is too old. */
export async function withLists(loaded: Loaded): Promise<Loaded> {
  return { ...loaded, config: closing(await completeLists(loaded.config), Date.now()) };
}

function goodOnes(sets: readonly (Parameters<typeof heldOf>[0] | RangesError)[]): HeldSet[] {
  return sets.flatMap((set) => (set instanceof RangesError ? [] : (heldOf(set) ?? [])));
}

function unknown(set: string, { code, message }: RangesError): RangesError {
  const remedy = `there is a copy to start by once this succeeds here: sekisho ranges show ${set}`;
  return new RangesError(
    code,
    `nothing is known of what the set ${set} holds: ${message}; ${remedy}`,
  );
}
