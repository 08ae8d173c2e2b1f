import type { RangesTargetConfig } from '../../config/ranges-config.ts';
import type { Cidr } from '../../core/ip.ts';
import type { Container } from '../plan/entry.ts';
import type { Plan } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';

/** What a target holds, as it was read. */
export interface Standing {
  readonly containers: readonly Container[];
}

/** What a person has to know of a plan before approving it. */
export interface Note {
  readonly level: 'note' | 'warning';
  readonly text: string;
  /** It tells who has to prove what, where an address proves nothing. */
  readonly about?: 'login';
}

/** One kind of place that keeps an allow-list: reading it, planning for it, changing it. */
export interface Target<Seen extends Standing = Standing> {
  readonly config: RangesTargetConfig;
  /** Everything is replaced in one stroke. */
  readonly atomic: boolean;
  /** @throws RangesError, AbortError */
  read(looking: Looking): Promise<Seen>;
  /** @param networks that do not overlap @throws RangesError `ranges-conflict` for what can never be done */
  plan(networks: readonly Cidr[], seen: Seen): Plan;
  /**
   * Does a step, or a part of it: whatever is not done yet is in the next plan. Returns early where somebody else was
   * quicker, so that the target is looked at anew.
   *
   * @throws RangesError, AbortError
   */
  apply(step: Step, seen: Seen, work: Work): Promise<void>;
  /** What is left to do besides entries, once these are right: `reload squid`. */
  unsettled?(seen: Seen): readonly string[];
  /** Does that. @throws RangesError */
  settle?(seen: Seen, work: Work): Promise<void>;
  /** Looks around for a plan: an apply does without. @throws RangesError, AbortError */
  notes?(seen: Seen, plan: Plan, looking: Looking): Promise<readonly Note[]>;
  close?(): void;
}

export interface Looking {
  readonly signal: AbortSignal;
  /** Waits a while before a further look, counted from 0. @throws AbortError */
  pause(tries: number): Promise<void>;
}

export interface Work extends Looking {
  /** @param entries that are added or removed by now, since the last call */
  done(entries: number): void;
}

/** What carries it belongs to this target; all else is somebody else's. */
export function markOf({ name }: RangesTargetConfig): string {
  return `sekisho:${name}`;
}

/** Slices of at most so many. */
export function batches<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** By container, in the order of their first entry. */
export function byContainer<Placed extends { readonly container: string }>(
  placed: readonly Placed[],
): Map<string, Placed[]> {
  const grouped = new Map<string, Placed[]>();
  for (const one of placed) {
    const group = grouped.get(one.container);
    if (group === undefined) grouped.set(one.container, [one]);
    else group.push(one);
  }
  return grouped;
}
