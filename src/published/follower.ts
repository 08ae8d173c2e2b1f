import { setTimeout as sleep } from 'node:timers/promises';
import type { SetRefresh } from '../audit/event.ts';
import type { Config, SetConfig } from '../config/config.ts';
import { publishedInUse } from '../config/published-uses.ts';
import type { PublishedSetConfig } from '../config/ranges-config.ts';
import { SekishoError } from '../core/errors.ts';
import type { Logger } from '../log.ts';
import type { PrimaryMetrics } from '../metrics/primary.ts';
import { LastGoodCopies, listsDir, placeOf } from '../ranges/last-good.ts';
import type { Reloads } from '../reload.ts';
import { type HeldSet, type ListStanding, standingOf } from './held-set.ts';
import { type ListFound, lookAside } from './list-aside.ts';

export interface FollowerOptions {
  readonly reloads: Reloads;
  readonly log: Logger;
  readonly metrics: PrimaryMetrics;
}

/** How the list of one set stands, for people and programs. */
export interface SetStatus {
  readonly set: string;
  readonly standing: ListStanding;
  readonly networks: number;
  /** Its version as its publisher counts. */
  readonly token: string | null;
  /** When it was last found to be what its publisher has: ISO 8601, UTC. */
  readonly seenAt: string | null;
  /** What kept the last look from renewing it. */
  readonly problem: string | null;
}

/** Between two looks at how old lists are. */
const AGES_MS = 1_000;

/** Keeps what the gateway's own sets hold equal to their lists: in the primary alone, once for each list. */
export class ListFollower {
  readonly #options: FollowerOptions;
  readonly #stopping = new AbortController();
  readonly #problems = new Map<string, string>();
  /** How each list stood when that was last told. */
  readonly #told = new Map<string, ListStanding>();
  #running: Promise<void> = Promise.resolve();

  constructor(options: FollowerOptions) {
    this.#options = options;
    options.metrics.lists.watch(() => this.status());
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => this.#fault(error));
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  status(): readonly SetStatus[] {
    const { config } = this.#options.reloads.inForce;
    return publishedInUse(config).flatMap((name) => {
      const set = config.sets.get(name);
      if (set === undefined) return [];
      const { list, entries } = set;
      return {
        set: name,
        standing: standingInForce(set),
        networks: entries.length,
        token: list?.token ?? null,
        seenAt: list === undefined ? null : new Date(list.seenMs).toISOString(),
        problem: this.#problems.get(name) ?? null,
      };
    });
  }

  async #run(): Promise<void> {
    await this.#options.reloads.recordLists(NOTHING_HELD, 0);
    await Promise.all([this.#keepLooking(), this.#keepJudging()]);
  }

  /** Looks at once, and then on the schedule. */
  async #keepLooking(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#round(signal);
      const { everyMs, jitterMs } = this.#options.reloads.inForce.config.ranges.refresh;
      await rest(everyMs + Math.random() * jitterMs, signal);
    }
  }

  /** While a look takes long, too: a publisher that hangs keeps no set open. */
  async #keepJudging(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#isToBeClosed()) await this.#options.reloads.refresh([]);
      } catch (error) {
        this.#fault(error);
      }
      this.#tellStandings();
      await rest(AGES_MS, signal);
    }
  }

  #isToBeClosed(): boolean {
    const { config } = this.#options.reloads.inForce;
    const sets = publishedInUse(config).map((name) => config.sets.get(name) as SetConfig);
    return sets.some((set) => standingOf(set, Date.now()) === 'closed' && !set.closed);
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { config } = this.#options.reloads.inForce;
    for (const names of listsOf(config)) {
      if (signal.aborted) return;
      try {
        await this.#follow(config, names, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof SekishoError)) this.#fault(error);
        this.#tellProblem(names, error as NodeJS.ErrnoException);
      }
    }
  }

  async #follow(config: Config, names: readonly string[], signal: AbortSignal): Promise<void> {
    const source = config.sets.get(names[0] as string)?.published as PublishedSetConfig;
    const copies = new LastGoodCopies(listsDir(config));
    try {
      const held = heldIn(await lookAside(config, names, signal));
      this.#tellChanges(await this.#options.reloads.refresh(held));
      await copies.accept(source);
    } catch (error) {
      await copies.discard(source);
      throw error;
    }
    for (const name of names) this.#problems.delete(name);
  }

  #tellStandings(): void {
    const { log } = this.#options;
    for (const { set, standing, seenAt } of this.status()) {
      if (standing === (this.#told.get(set) ?? 'current')) continue;
      this.#told.set(set, standing);
      if (standing === 'current') log.info({ set, seenAt }, 'the list of a set is current again');
      else log.warn({ set, seenAt, standing }, `the list of a set is too old: ${MEANS[standing]}`);
    }
  }

  #tellChanges(changes: readonly SetRefresh[]): void {
    const { log, metrics } = this.#options;
    for (const { set, token, networks, counts } of changes) {
      if (counts.added + counts.removed === 0) continue;
      metrics.lists.refreshed(set);
      log.info({ set, token, networks, ...counts }, 'a set holds what its list has now');
    }
  }

  #tellProblem(names: readonly string[], { code, message }: NodeJS.ErrnoException): void {
    const { log, metrics } = this.#options;
    for (const set of names) {
      this.#problems.set(set, message);
      metrics.lists.failed(set);
    }
    log.warn({ sets: names, code }, `sets stay as they are: ${message}`);
  }

  #fault(error: unknown): void {
    const { log, metrics } = this.#options;
    metrics.fault();
    log.error({ err: error }, 'a fault of the gateway itself: lists are not followed');
  }
}

/** @throws nothing when it is interrupted */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

const MEANS: Readonly<Record<Exclude<ListStanding, 'current'>, string>> = {
  old: 'it is gone by all the same',
  closed: 'nobody passes by it',
};

/** A set is closed once it is so in force. */
function standingInForce(set: SetConfig): ListStanding {
  if (set.closed) return 'closed';
  return standingOf(set, Date.now()) === 'current' ? 'current' : 'old';
}

const NOTHING_HELD: Pick<Config, 'sets'> = { sets: new Map() };

/** The sets in use, by list. */
function listsOf(config: Config): string[][] {
  const lists = new Map<string, string[]>();
  for (const name of publishedInUse(config)) {
    const { published } = config.sets.get(name) ?? {};
    if (published === undefined) continue;
    const place = placeOf(published);
    lists.set(place, [...(lists.get(place) ?? []), name]);
  }
  return [...lists.values()];
}

/** @throws SekishoError where a list is not to be gone by for one of them */
function heldIn(found: ListFound): HeldSet[] {
  const { problem } = found.find((one) => one.problem !== undefined) ?? {};
  if (problem !== undefined) throw new SekishoError(problem.code, problem.message);
  return found.flatMap(({ held }) => held ?? []);
}
