import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { RangesTargetConfig } from '../config/ranges-config.ts';
import { aggregate } from '../core/aggregate.ts';
import type { Cidr } from '../core/ip.ts';
import { AppliedTokens } from './applied-tokens.ts';
import { ListFetcher } from './fetch/url.ts';
import { LastGoodCopies, listsDir } from './last-good.ts';
import { lockApply } from './lock.ts';
import { isDone, type Plan } from './plan/plan.ts';
import { type RangeSet, readRangeSets } from './range-sets.ts';
import { RangesError } from './ranges-error.ts';
import { type ReconcileOptions, reconcile } from './reconcile.ts';
import type { Announcement } from './sns/announcement.ts';
import { backoffMs, OWN_SURROUNDINGS, type RangesSurroundings } from './surroundings.ts';
import type { Looking, Note, Target } from './targets/target.ts';
import { createTarget } from './targets/targets.ts';

export interface RangesOptions {
  readonly signal: AbortSignal;
  /** A list may have shrunk by however much. */
  readonly acceptShrink?: boolean;
  readonly around?: RangesSurroundings;
}

/** What a target is to hold, and out of which sets. */
export interface Wanted {
  readonly target: RangesTargetConfig;
  readonly sets: readonly RangeSet[];
  readonly networks: readonly Cidr[];
}

export type Planned = Wanted & {
  readonly plan: Plan;
  readonly notes: readonly Note[];
  /** What is left to do besides entries. */
  readonly unsettled: readonly string[];
};

/** A target that nothing can be said of, and why. */
export interface Failed {
  readonly target: RangesTargetConfig;
  readonly error: RangesError;
}

export function isFailed(one: Planned | Wanted | Failed): one is Failed {
  return 'error' in one;
}

/** Whether an apply would do something. */
export function isPending({ plan, unsettled }: Planned): boolean {
  return !isDone(plan) || unsettled.length > 0;
}

/** The `ranges` of a configuration at work: lists, sets and targets. */
export class Ranges {
  readonly #config: Config;
  readonly #options: RangesOptions;
  readonly #around: RangesSurroundings;
  readonly #fetcher: ListFetcher;

  constructor(config: Config, options: RangesOptions) {
    this.#config = config;
    this.#options = options;
    this.#around = options.around ?? OWN_SURROUNDINGS;
    this.#fetcher = new ListFetcher(config.ranges.fetch, this.#around);
  }

  /** @returns by name; an error in place of a set that there is no list for */
  readSets(
    names: readonly string[],
    announced?: Announcement,
  ): Promise<ReadonlyMap<string, RangeSet | RangesError>> {
    return readRangeSets(this.#config, names, {
      copies: new LastGoodCopies(listsDir(this.#config)),
      fetch: (wanted, signal) => this.#fetcher.fetch(wanted, signal),
      shrink: this.#options.acceptShrink ? 1 : this.#config.ranges.shrink,
      now: this.#around.now,
      signal: this.#options.signal,
      announced,
    });
  }

  /** Which networks targets are to hold. @param announced of a list that changed */
  async want(
    targets: readonly RangesTargetConfig[],
    announced?: Announcement,
  ): Promise<(Wanted | Failed)[]> {
    const names = [...new Set(targets.flatMap((target) => target.sets))];
    const sets = await this.readSets(names, announced);
    return targets.map((target) => {
      const found = target.sets.flatMap((name) => sets.get(name) ?? []);
      const error = found.find((set): set is RangesError => set instanceof RangesError);
      if (error !== undefined) return { target, error };
      const known = found.filter((set): set is RangeSet => !(set instanceof RangesError));
      const networks = aggregate(known.flatMap((set) => set.networks));
      return { target, sets: known, networks };
    });
  }

  /** Looks at a target, and changes nothing. */
  async plan(wanted: Wanted): Promise<Planned | Failed> {
    return this.#with(wanted, async (target) => {
      const seen = await target.read(this.#looking);
      const plan = target.plan(wanted.networks, seen);
      const notes = (await target.notes?.(seen, plan, this.#looking)) ?? [];
      return { ...wanted, plan, notes, unsettled: target.unsettled?.(seen) ?? [] };
    });
  }

  /** Makes a target hold what is wanted. @returns what was done */
  async apply(
    wanted: Wanted,
    { begin, progress }: Pick<ReconcileOptions, 'begin' | 'progress'>,
  ): Promise<Plan | Failed> {
    return this.#with(wanted, (target) => {
      const options = { around: this.#around, signal: this.#options.signal, begin, progress };
      return reconcile(target, wanted.networks, options);
    });
  }

  /** The text at an address, as lists are fetched. @throws RangesError `ranges-unavailable` */
  async fetchText(url: string): Promise<string> {
    const fetched = await this.#fetcher.fetch({ url }, this.#options.signal);
    return fetched.kind === 'text' ? fetched.text : '';
  }

  /** What was applied last, for whoever does not go on running. */
  get applied(): AppliedTokens {
    return new AppliedTokens(join(this.#dir, 'applied.json'));
  }

  /** @throws RangesError `ranges-locked` */
  lock(): Disposable {
    return lockApply(join(this.#dir, 'apply.lock'));
  }

  close(): Promise<void> {
    return this.#fetcher.close();
  }

  get #dir(): string {
    return join(this.#config.gateway.dataDir, 'ranges');
  }

  get #looking(): Looking {
    const { signal } = this.#options;
    const { random, sleep } = this.#around;
    return { signal, pause: (tries) => sleep(backoffMs(tries, random), signal).then(() => {}) };
  }

  async #with<Result>(
    { target: config }: Wanted,
    work: (target: Target) => Promise<Result>,
  ): Promise<Result | Failed> {
    const target = createTarget(config);
    try {
      return await work(target);
    } catch (error) {
      if (!(error instanceof RangesError)) throw error;
      return { target: config, error };
    } finally {
      target.close?.();
    }
  }
}
