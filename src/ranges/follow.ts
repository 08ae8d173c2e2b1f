import { createHash } from 'node:crypto';
import type { PublishedSetConfig } from '../config/ranges-config.ts';
import { quote } from '../core/diagnostic.ts';
import { readListFile } from './fetch/file.ts';
import type { Fetched, FetchRequest } from './fetch/url.ts';
import { filterList } from './filter.ts';
import type { Copies, LastGood } from './last-good.ts';
import { readList } from './lists/lists.ts';
import type { PublishedList } from './published.ts';
import { RangesError } from './ranges-error.ts';
import { shrinkageOf } from './shrinkage.ts';
import type { Announcement } from './sns/announcement.ts';

/** A list to go by, and what was in the way of a newer one. */
export interface Followed {
  readonly list: PublishedList;
  /** When it was last found to be what its publisher has, in milliseconds since the epoch. */
  readonly seenMs: number;
  readonly problem: RangesError | undefined;
}

export interface FollowOptions {
  readonly copies: Copies;
  readonly fetch: (wanted: FetchRequest, signal: AbortSignal) => Promise<Fetched>;
  /** The part of a list that may go at once. */
  readonly shrink: number;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** What was said of a list that changed. */
  readonly announced?: Announcement | undefined;
}

/**
 * Fetches a list, and falls back on the last good copy of it where there is none to be had or none to be used.
 *
 * @param uses every set that takes something from the list; a list that is bad for one of them is used for none
 * @throws RangesError where there is no copy either; AbortError
 */
export async function followList(
  source: PublishedSetConfig,
  uses: readonly PublishedSetConfig[],
  options: FollowOptions,
): Promise<Followed> {
  const copy = await options.copies.get(source);
  const before = copy && readCopy(source, copy);
  try {
    return await renew(source, uses, before && copy && { copy, list: before }, options);
  } catch (error) {
    if (!(error instanceof RangesError)) throw error;
    if (copy === undefined || before === undefined) throw error;
    return { list: before, seenMs: copy.seenMs, problem: error };
  }
}

/** The last good copy, as it is. @throws RangesError `ranges-unavailable` where there is none */
export async function recallList(source: PublishedSetConfig, copies: Copies): Promise<Followed> {
  const copy = await copies.get(source);
  const list = copy && readCopy(source, copy);
  if (copy !== undefined && list !== undefined)
    return { list, seenMs: copy.seenMs, problem: undefined };
  throw new RangesError('ranges-unavailable', `there is no copy of ${nameOf(source)} yet`);
}

/** A copy that this version reads otherwise than the one that kept it counts as missing. */
function readCopy({ provider }: PublishedSetConfig, { text }: LastGood): PublishedList | undefined {
  try {
    return readList(provider, text);
  } catch (error) {
    if (error instanceof RangesError) return undefined;
    throw error;
  }
}

interface Before {
  readonly copy: LastGood;
  readonly list: PublishedList;
}

async function renew(
  source: PublishedSetConfig,
  uses: readonly PublishedSetConfig[],
  before: Before | undefined,
  options: FollowOptions,
): Promise<Followed> {
  const fetched = await obtain(source, before?.copy.etag, options);
  const seenMs = options.now();
  if (fetched.kind === 'unchanged' && before !== undefined) {
    await options.copies.put(source, { ...before.copy, seenMs });
    return { list: before.list, seenMs, problem: undefined };
  }
  if (fetched.kind === 'unchanged') {
    throw new RangesError('ranges-unavailable', `${nameOf(source)} says that nothing changed`);
  }
  const list = check(source, uses, fetched.text, before?.list, options.shrink);
  await options.copies.put(source, { etag: fetched.etag, seenMs, text: fetched.text });
  return { list, seenMs, problem: undefined };
}

async function obtain(
  source: PublishedSetConfig,
  etag: string | undefined,
  { fetch, signal, announced }: FollowOptions,
): Promise<Fetched> {
  const { from } = source;
  if (from.kind === 'url') {
    const isAnnounced = announced?.url === from.url;
    // The copy that is there is the one before: a cache that calls it unchanged lags behind as well.
    const wanted = isAnnounced ? { lags: lagsBehind(source, announced) } : { etag };
    return fetch({ url: from.url, ...wanted }, signal);
  }
  return { kind: 'text', text: await readListFile(from.path), etag: undefined };
}

/** What is announced, or newer, is taken; what is older, or of that version with another md5, is fetched again. */
function lagsBehind({ provider }: PublishedSetConfig, { token, md5 }: Announcement) {
  return (body: Buffer): string | undefined => {
    if (createHash('md5').update(body).digest('hex') === md5) return undefined;
    let found: bigint | undefined;
    try {
      found = readList(provider, body.toString()).token;
    } catch (error) {
      if (!(error instanceof RangesError)) throw error;
    }
    if (found !== undefined && found > token) return undefined;
    return `its md5 is not the announced one: a cache may still have the list before ${token}`;
  };
}

/** @throws RangesError `ranges-refused` */
function check(
  source: PublishedSetConfig,
  uses: readonly PublishedSetConfig[],
  text: string,
  before: PublishedList | undefined,
  shrink: number,
): PublishedList {
  const refuse = (message: string, cause?: unknown) =>
    new RangesError('ranges-refused', `the list of ${nameOf(source)} is refused: ${message}`, {
      cause,
    });
  let list: PublishedList;
  try {
    list = readList(source.provider, text);
  } catch (error) {
    if (!(error instanceof RangesError)) throw error;
    const had =
      before && `; the last good one had ${filterList(before, EVERYTHING).length} networks`;
    throw refuse(`${error.message}${had ?? ''}`, error);
  }
  if (before === undefined) return list;
  if (isOlder(list, before)) {
    throw refuse(`it is of version ${list.token}, before ${before.token}, which was there already`);
  }
  for (const use of [EVERYTHING, ...uses]) {
    const shrunken = shrinkageOf(filterList(list, use), filterList(before, use), shrink);
    if (shrunken === undefined) continue;
    const part = use === EVERYTHING ? '' : ` for ${filterText(use)}`;
    const { now, of, before: had } = shrunken;
    throw refuse(`it has ${now} ${of}${part}, where the last good one had ${had}`);
  }
  return list;
}

const EVERYTHING: Pick<PublishedSetConfig, 'filters' | 'family'> = {
  filters: { service: [], region: [], borderGroup: [] },
  family: undefined,
};

function isOlder({ token }: PublishedList, { token: before }: PublishedList): boolean {
  return token !== undefined && before !== undefined && token < before;
}

export function nameOf({ from }: PublishedSetConfig): string {
  return from.kind === 'url' ? from.url : from.path;
}

/** `EC2, ap-northeast-1, ipv4` */
export function filterText({
  filters,
  family,
}: Pick<PublishedSetConfig, 'filters' | 'family'>): string {
  const words = Object.values(filters).flat();
  if (family !== undefined) words.push(`ipv${family}`);
  return words.map((word) => (/^[\w.-]+$/.test(word) ? word : quote(word))).join(', ');
}
