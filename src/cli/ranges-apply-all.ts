import type { RangesTargetConfig } from '../config/ranges-config.ts';
import type { Plan } from '../ranges/plan/plan.ts';
import { type Failed, isFailed, type Ranges, type Wanted } from '../ranges/ranges.ts';
import type { RangesError } from '../ranges/ranges-error.ts';
import type { Announcement } from '../ranges/sns/announcement.ts';
import type { RangesRecord } from './ranges-record.ts';

export interface Applied {
  readonly target: RangesTargetConfig;
  readonly wanted: Wanted | undefined;
  /** What was done, or why not. */
  readonly result: Plan | Failed;
  /** Lists that stand at their last good copy. */
  readonly problems: readonly RangesError[];
}

const NOTHING: Pick<Plan, 'add' | 'move' | 'remove'> = { add: [], move: [], remove: [] };

/**
 * Brings targets to hold their sets, one after the other; a target that fails keeps none of the others. What is going to be
 * changed is on record before it is, and so is what became of it.
 *
 * @throws Refusal `audit-unavailable`: then nothing is changed; AbortError
 */
export async function applyAll(
  ranges: Ranges,
  targets: readonly RangesTargetConfig[],
  record: RangesRecord,
  progress: (target: string, done: number, total: number) => void,
  announced?: Announcement,
): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (const wanted of await ranges.want(targets, announced)) {
    if (isFailed(wanted)) {
      applied.push({ target: wanted.target, wanted: undefined, result: wanted, problems: [] });
      continue;
    }
    const { target, sets } = wanted;
    const result = await applyOne(ranges, wanted, record, progress);
    const problems = sets.flatMap(({ problem }) => problem ?? []);
    applied.push({ target, wanted, result, problems });
  }
  return applied;
}

/** By the address of each list that was followed to its end by every target: its version. */
export function appliedTokens(applied: readonly Applied[]): ReadonlyMap<string, bigint> {
  const tokens = new Map<string, bigint>();
  const unfinished = new Set<string>();
  for (const { wanted, result, problems } of applied) {
    for (const { source, token } of wanted?.sets ?? []) {
      if (source?.from.kind !== 'url' || token === undefined) continue;
      tokens.set(source.from.url, token);
      if ('error' in result || problems.length > 0) unfinished.add(source.from.url);
    }
  }
  for (const url of unfinished) tokens.delete(url);
  return tokens;
}

async function applyOne(
  ranges: Ranges,
  wanted: Wanted,
  record: RangesRecord,
  progress: (target: string, done: number, total: number) => void,
): Promise<Plan | Failed> {
  let begun: Plan | undefined;
  const options = {
    async begin(plan: Plan) {
      await record.write(wanted, 'plan', plan);
      begun = plan;
    },
    progress: (done: number, total: number) => progress(wanted.target.name, done, total),
  };
  try {
    const result = await ranges.apply(wanted, options);
    if ('error' in result)
      await record.write(wanted, 'failed', begun ?? NOTHING, result.error.message);
    else if (begun !== undefined) await record.write(wanted, 'applied', result);
    return result;
  } catch (error) {
    if (begun !== undefined) await record.write(wanted, 'failed', begun, 'interrupted');
    throw error;
  }
}
