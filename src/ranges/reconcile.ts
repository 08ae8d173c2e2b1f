import type { Cidr } from '../core/ip.ts';
import type { Plan } from './plan/plan.ts';
import { isDone } from './plan/plan.ts';
import { nextStep, type Step, workOf } from './plan/steps.ts';
import { RangesError } from './ranges-error.ts';
import { backoffMs, type RangesSurroundings } from './surroundings.ts';
import type { Target } from './targets/target.ts';

export interface ReconcileOptions {
  readonly around: RangesSurroundings;
  readonly signal: AbortSignal;
  /** Before anything is changed, with all that is going to be. @throws where it must not be */
  readonly begin: (plan: Plan) => Promise<void>;
  /** @param done entries added and removed so far @param total as far as is known */
  readonly progress: (done: number, total: number) => void;
}

/** Looks that show no less to do than the one before. AWS may take a while to show what it was told. */
const MAX_STALLS = 8;

/**
 * Brings a target to hold the networks, step by step, with a look at it between each two: what others do in the meantime,
 * what AWS did without saying so, and what an apply before left undone is all in the next plan.
 *
 * @returns the first plan
 * @throws RangesError `ranges-no-room` before anything is changed; `ranges-conflict` when it comes to no end; AbortError
 */
export async function reconcile(
  target: Target,
  networks: readonly Cidr[],
  options: ReconcileOptions,
): Promise<Plan> {
  const { around, signal } = options;
  let first: Plan | undefined;
  let least = Number.POSITIVE_INFINITY;
  let stalls = 0;
  let done = 0;
  const work = {
    signal,
    done(entries: number) {
      done += entries;
      options.progress(done, Math.max(done, first === undefined ? 0 : workOf(first)));
    },
    pause: (tries: number) => around.sleep(backoffMs(tries, around.random), signal).then(() => {}),
  };
  for (;;) {
    signal.throwIfAborted();
    const seen = await target.read(work);
    const plan = target.plan(networks, seen);
    refuseShortage(target, plan, done > 0);
    if (first === undefined) {
      first = plan;
      const unsettled = target.unsettled?.(seen) ?? [];
      if (!isDone(plan) || unsettled.length > 0) await options.begin(plan);
    }
    if (isDone(plan)) {
      await target.settle?.(seen, work);
      return first;
    }
    const left = workOf(plan);
    if (left < least) [least, stalls] = [left, 0];
    else await waitForOthers(target, ++stalls, work.pause);
    await target.apply(nextStep(plan, target.atomic) satisfies Step, seen, work);
  }
}

/** @throws RangesError `ranges-no-room` */
export function refuseShortage(target: Target, { shortage }: Plan, changed = false): void {
  if (shortage.length === 0) return;
  const parts = shortage.map(
    ({ family, needed, free, leaving }) =>
      `IPv${family}: ${needed} to add and room for ${free}` +
      (leaving > 0 ? `, while the ${leaving} that are to go stay until then` : ''),
  );
  const state = changed ? 'no more room' : 'no room, so nothing was changed';
  const message = `${target.config.name} has ${state}: ${parts.join('; ')}; add a place to the target, or raise its quota`;
  throw new RangesError('ranges-no-room', message);
}

async function waitForOthers(
  target: Target,
  stalls: number,
  pause: (tries: number) => Promise<void>,
): Promise<void> {
  if (stalls > MAX_STALLS) {
    const message = `${target.config.name} does not become what it shall be: somebody else changes it at the same time`;
    throw new RangesError('ranges-conflict', message);
  }
  await pause(stalls - 1);
}
