import { permissionText } from '../core/permission.ts';
import { meaningOf } from '../ranges/meaning.ts';
import type { Entry } from '../ranges/plan/entry.ts';
import type { RangeSet } from '../ranges/range-sets.ts';
import { type Failed, isFailed, isPending, type Planned } from '../ranges/ranges.ts';
import type { RangesError } from '../ranges/ranges-error.ts';

/** What `--json` prints of a set. */
export function setReport(set: RangeSet) {
  const { size, whose, rented } = meaningOf(set);
  return {
    set: set.name,
    size,
    whose,
    rented,
    networks: set.networks.map(({ text }) => text),
    published: set.published.length,
    token: set.token === undefined ? null : String(set.token),
    seen: set.seenMs === undefined ? null : new Date(set.seenMs).toISOString(),
    problem: set.problem === undefined ? null : errorReport(set.problem),
  };
}

export function errorReport({ code, message }: RangesError) {
  return { code, message };
}

/** What `--json` prints of a target's plan. */
export function planReport(planned: Planned | Failed) {
  const { name: target, kind } = planned.target;
  if (isFailed(planned)) return { target, kind, error: errorReport(planned.error) };
  const { plan, notes, unsettled } = planned;
  const entry = ({ network, permission }: Entry) => ({
    network: network.text,
    permission: permission === undefined ? null : permissionText(permission),
  });
  return {
    target,
    kind,
    pending: isPending(planned),
    add: plan.add.map((one) => ({ container: one.container, ...entry(one.entry) })),
    move: plan.move.map((one) => ({ from: one.from, to: one.to, ...entry(one.entry) })),
    remove: plan.remove.map((one) => ({ container: one.container, ...entry(one.entry) })),
    keep: plan.keep.length,
    covered: plan.covered.map(({ entry: one, by, container, exact }) => ({
      ...entry(one),
      by: by.network.text,
      container,
      exact,
    })),
    room: plan.room.map((room) => ({ ...room, quota: finite(room.quota) })),
    shortage: plan.shortage,
    unsettled,
    notes,
  };
}

/** JSON has no word for a file that takes any number of lines. */
function finite(quota: number): number | null {
  return Number.isFinite(quota) ? quota : null;
}

/** The sets of several targets, each once. */
export function setsOf(planned: readonly (Planned | Failed)[]): RangeSet[] {
  const sets = planned.flatMap((one) => (isFailed(one) ? [] : one.sets));
  return [...new Map(sets.map((set) => [set.name, set])).values()];
}
