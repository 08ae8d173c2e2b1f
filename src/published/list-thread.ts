import { parentPort, workerData } from 'node:worker_threads';
import { giveWay } from '../aside.ts';
import { ListFetcher } from '../ranges/fetch/url.ts';
import { LastGoodCopies, listsDir } from '../ranges/last-good.ts';
import { readRangeSets } from '../ranges/range-sets.ts';
import { RangesError } from '../ranges/ranges-error.ts';
import { OWN_SURROUNDINGS } from '../ranges/surroundings.ts';
import { heldOf } from './held-set.ts';
import type { ListErrand, ListFound, SetFound } from './list-aside.ts';

giveWay();
/** The thread of `lookAside`. */
parentPort?.postMessage(await look(workerData as ListErrand));

async function look(errand: ListErrand): Promise<ListFound> {
  const { ranges, names } = errand;
  const fetcher = new ListFetcher(ranges.fetch, OWN_SURROUNDINGS);
  try {
    const found = await readRangeSets(errand, names, {
      copies: new LastGoodCopies(listsDir(errand)).drafts(),
      fetch: (wanted, signal) => fetcher.fetch(wanted, signal),
      shrink: ranges.shrink,
      now: Date.now,
      signal: new AbortController().signal,
    });
    return [...found].map(([set, one]): SetFound => {
      if (one instanceof RangesError) return { set, held: undefined, problem: problemOf(one) };
      return { set, held: heldOf(one), problem: one.problem && problemOf(one.problem) };
    });
  } finally {
    await fetcher.close();
  }
}

function problemOf({ code, message }: RangesError): SetFound['problem'] {
  return { code, message };
}
