import type { HeldEntry, Placed } from './entry.ts';
import type { Plan } from './plan.ts';

/** What is done to a target between two looks at it. */
export interface Step {
  readonly add: readonly Placed[];
  readonly remove: readonly Placed<HeldEntry>[];
}

/**
 * The next step of a plan. Nothing is taken away before a look at the target has shown that nothing is missing: a step
 * either adds or removes, unless the target does both in one stroke.
 */
export function nextStep({ add, move, remove }: Plan, atomic: boolean): Step {
  if (atomic) return { add, remove };
  const coming = [...add, ...move.map(({ entry, to }) => ({ container: to, entry }))];
  return coming.length > 0 ? { add: coming, remove: [] } : { add: [], remove };
}

/** How much is left to do. */
export function workOf({ add, move, remove }: Plan): number {
  return add.length + 2 * move.length + remove.length;
}
