import type { Config } from '../config/config.ts';
import type { PublishedSetConfig } from '../config/ranges-config.ts';
import { aggregate, compareNetworks } from '../core/aggregate.ts';
import { quote } from '../core/diagnostic.ts';
import type { Cidr } from '../core/ip.ts';
import { filterList, unknownWord } from './filter.ts';
import {
  type Followed,
  type FollowOptions,
  filterText,
  followList,
  nameOf,
  recallList,
} from './follow.ts';
import { type Copies, placeOf } from './last-good.ts';
import { RangesError } from './ranges-error.ts';

/** What a set holds now. */
export interface RangeSet {
  readonly name: string;
  /** As published, each once, in order. */
  readonly published: readonly Cidr[];
  /** The same addresses in the fewest networks. */
  readonly networks: readonly Cidr[];
  /** Undefined: the configuration lists its networks. */
  readonly source: PublishedSetConfig | undefined;
  readonly token: bigint | undefined;
  readonly seenMs: number | undefined;
  /** What keeps it at its last good copy. */
  readonly problem: RangesError | undefined;
}

/** Goes by the last good copies alone. */
export interface Recall {
  readonly copies: Copies;
  readonly fetch?: undefined;
}

/**
 * Reads sets, each list once.
 *
 * @param options without `fetch`, the copies are gone by
 * @returns by name; an error in place of a set that there is no list for
 * @throws AbortError
 */
export async function readRangeSets(
  config: Pick<Config, 'sets'>,
  names: readonly string[],
  options: FollowOptions | Recall,
): Promise<ReadonlyMap<string, RangeSet | RangesError>> {
  const lists = new Map<string, Followed | RangesError>();
  const sets = new Map<string, RangeSet | RangesError>();
  for (const name of names) {
    const set = config.sets.get(name);
    if (set === undefined) throw new TypeError(`no set is called ${name}`);
    const { published: source, entries } = set;
    if (source === undefined) {
      const listed = entries.flatMap((entry) => (entry.kind === 'network' ? [entry.cidr] : []));
      sets.set(name, listedSet(name, listed));
      continue;
    }
    const place = placeOf(source);
    const followed = lists.get(place) ?? (await follow(source, usesOf(config, place), options));
    lists.set(place, followed);
    sets.set(name, followed instanceof RangesError ? followed : toSet(name, source, followed));
  }
  return sets;
}

function usesOf(config: Pick<Config, 'sets'>, place: string): PublishedSetConfig[] {
  return [...config.sets.values()].flatMap(({ published }) =>
    published !== undefined && placeOf(published) === place ? [published] : [],
  );
}

async function follow(
  source: PublishedSetConfig,
  uses: readonly PublishedSetConfig[],
  options: FollowOptions | Recall,
): Promise<Followed | RangesError> {
  try {
    return options.fetch === undefined
      ? await recallList(source, options.copies)
      : await followList(source, uses, options);
  } catch (error) {
    if (error instanceof RangesError) return error;
    throw error;
  }
}

function listedSet(name: string, listed: readonly Cidr[]): RangeSet {
  const none = { source: undefined, token: undefined, seenMs: undefined, problem: undefined };
  const published = [...new Map(listed.map((one) => [one.text, one])).values()];
  return { name, published: published.sort(compareNetworks), networks: aggregate(listed), ...none };
}

function toSet(
  name: string,
  source: PublishedSetConfig,
  { list, seenMs, problem }: Followed,
): RangeSet | RangesError {
  const published = filterList(list, source).sort(compareNetworks);
  const unknown = unknownWord(list, source);
  if (published.length > 0 && unknown === undefined) {
    return {
      name,
      published,
      networks: aggregate(published),
      source,
      token: list.token,
      seenMs,
      problem,
    };
  }
  const hint =
    unknown === undefined
      ? 'nothing passes its filters'
      : `its list has no ${unknown.filter} ${quote(unknown.word)}, but ${unknown.known.slice(0, 40).join(', ')}`;
  return new RangesError(
    'ranges-refused',
    `the set ${quote(name)} cannot be taken from ${nameOf(source)}, ${filterText(source)}: ${hint}`,
  );
}
