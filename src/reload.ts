import type { RefreshEvent, ReloadEvent, SetRefresh } from './audit/event.ts';
import { type Bundle, bundle, type Candidate } from './candidate.ts';
import type { Config } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { SekishoError } from './core/errors.ts';
import { examineListed } from './examine-aside.ts';
import type { InForce } from './in-force.ts';
import type { PrimaryMetrics } from './metrics/primary.ts';
import type { Difference } from './policy/policy.ts';
import { changesBetween } from './published/changes.ts';
import { closing, type HeldSet, holding, opening } from './published/held-set.ts';
import { inSlices } from './slices.ts';
import type { PrimarySurroundings, Workers } from './workers.ts';

/** How many gain, lose, or go another way. */
export function countChanges(
  differences: readonly Difference[],
): Record<Difference['change'], number> {
  const counts = { gains: 0, loses: 0, changes: 0 };
  for (const { change } of differences) counts[change]++;
  return counts;
}

/** Secrets of parts that are built once: what was rotated would go on being sent as it was. */
function refuseRotated(current: InForce, next: InForce): void {
  const secretsOf = ({ config, secret }: InForce) =>
    [...(config.traces.otlp?.headers.values() ?? [])].flatMap((value) =>
      typeof value === 'string' ? [] : [secret(value)],
    );
  const after = secretsOf(next);
  if (secretsOf(current).every((secret, i) => after[i]?.equals(secret) === true)) return;
  throw new SekishoError(
    'reload-needs-restart',
    'only a restart takes other secrets for traces.otlp.headers; nothing was changed',
  );
}

/** What a gateway starts with. `bundle`: where others were sent it. */
export type Started = Pick<Candidate, 'inForce' | 'loaded'> & Partial<Pick<Candidate, 'bundle'>>;

export interface ReloadsOptions extends PrimarySurroundings {
  readonly workers: Workers;
  readonly metrics: PrimaryMetrics;
}

/** A new policy may change everything for everybody; the policies themselves tell the rest. */
const LISTED_DIFFERENCES = 100;

/** Puts one configuration after the other in force: on all workers or on none. */
export class Reloads {
  /** What the primary explains by, and what its workers decide by. */
  inForce: InForce;
  /** What it was made from. */
  loaded: Loaded;
  /** When that was loaded. */
  loadedAt = new Date();
  readonly #options: ReloadsOptions;
  /** Of the files that secrets were read from; undefined: of a start in this very process. */
  #secretFiles: Bundle['secretFiles'] | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting: Promise<boolean> | undefined;

  constructor(started: Started, options: ReloadsOptions) {
    this.inForce = started.inForce;
    this.loaded = started.loaded;
    this.#secretFiles = started.bundle?.secretFiles;
    this.#options = options;
    options.log.level = started.inForce.config.gateway.log;
    options.metrics.policyLoaded(started.inForce.digest, Date.now());
  }

  /**
   * One at a time. A call while one is under way, which may have read the files before they changed, starts another behind
   * it, for all such calls together.
   *
   * @returns whether the configuration as it now stands is in force; what stood in the way is logged
   */
  reload(): Promise<boolean> {
    this.#waiting ??= this.#alone(() => {
      this.#waiting = undefined;
      return this.#reload();
    });
    return this.#waiting;
  }

  /**
   * Has the sets that follow lists hold something else, and closes those whose lists are too old. All else stays as it is,
   * whatever has become of the files meanwhile.
   *
   * @param held of some of them
   * @returns what changed
   * @throws SekishoError where that breaks an `expect` test or makes the rules contradict one another: nothing was changed
   */
  refresh(held: readonly HeldSet[]): Promise<readonly SetRefresh[]> {
    return this.#alone(() => this.#refresh(held));
  }

  /** Puts on record what the sets hold that follow lists. */
  async recordLists(before: Pick<Config, 'sets'>, ended: number): Promise<readonly SetRefresh[]> {
    const { config, digest } = this.inForce;
    const sets = await inSlices(changesBetween(before, config));
    if (sets.length === 0) return sets;
    const time = new Date().toISOString();
    const event: RefreshEvent = {
      type: 'refresh',
      time,
      gateway: config.gateway.name,
      policy: digest,
      sets,
      ended,
    };
    await this.#note(event);
    return sets;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return work().finally(resolve);
  }

  async #reload(): Promise<boolean> {
    const { env, log, reread, metrics } = this.#options;
    if (reread === undefined) return false;
    try {
      const before = this.inForce;
      const { loaded, differences, portable } = await reread(before.config);
      const candidate = await bundle(loaded, env, before.identityHeaders, { portable });
      refuseRotated(before, candidate.inForce);
      const ended = await this.#putInForce(candidate, () => this.#reloaded());
      await this.#record(before.digest, ended, differences);
      await this.recordLists(before.config, 0);
      return true;
    } catch (error) {
      metrics.reloadRefused();
      if (!(error instanceof SekishoError)) metrics.fault();
      log.error(refusalFacts(error), 'reload refused: nothing was changed');
      return false;
    }
  }

  async #refresh(held: readonly HeldSet[]): Promise<readonly SetRefresh[]> {
    const { env } = this.#options;
    const before = this.inForce;
    const listed = await inSlices(holding(opening(before.config), held));
    const config = closing(listed, Date.now());
    const changes = await inSlices(changesBetween(before.config, config));
    if (changes.length === 0) {
      // Seen again, and nothing else: of that only the primary tells.
      this.inForce = { ...before, config };
      return changes;
    }
    const isNew = changes.some(({ counts }) => counts.added + counts.removed > 0);
    if (isNew) await examineListed(listed);
    const candidate = await bundle({ ...this.loaded, config }, env, before.identityHeaders, {
      secretFiles: this.#secretFiles,
    });
    const ended = await this.#putInForce(candidate);
    return this.recordLists(before.config, ended);
  }

  /** @returns the number of tunnels that this ended */
  async #putInForce(candidate: Candidate, swapping = () => {}): Promise<number> {
    const { log, workers } = this.#options;
    try {
      await workers.prepare(candidate);
      this.inForce = candidate.inForce;
      this.loaded = candidate.loaded;
      this.#secretFiles = candidate.bundle.secretFiles;
      log.level = this.inForce.config.gateway.log;
      swapping();
      return await workers.swap();
    } catch (error) {
      workers.discard();
      throw error;
    }
  }

  #reloaded(): void {
    const { metrics } = this.#options;
    this.loadedAt = new Date();
    metrics.policyLoaded(this.inForce.digest, Date.now());
    metrics.reloaded();
  }

  async #record(from: string, ended: number, differences: readonly Difference[]): Promise<void> {
    const { digest: to, config } = this.inForce;
    const event: ReloadEvent = {
      type: 'reload',
      time: new Date().toISOString(),
      gateway: config.gateway.name,
      from,
      to,
      ended,
      count: differences.length,
      differences: differences.slice(0, LISTED_DIFFERENCES),
    };
    await this.#note(event);
    this.#options.log.info({ from, to, ...countChanges(differences), ended }, 'reloaded');
  }

  /** A record that cannot be written is the writer's to tell, and undoes nothing: it is in force. */
  #note(event: ReloadEvent | RefreshEvent): Promise<void> {
    return this.#options.workers.note(event).catch(() => undefined);
  }
}

/** A fault of ours is told with its stack; one of the configuration with the place that it names. */
function refusalFacts(error: unknown): object {
  return error instanceof SekishoError
    ? { code: error.code, faults: error.message }
    : { err: error };
}
