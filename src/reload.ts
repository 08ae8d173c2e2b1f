import type { ReloadEvent } from './audit/event.ts';
import { bundle, type Candidate } from './candidate.ts';
import type { Loaded } from './config/load.ts';
import { SekishoError } from './core/errors.ts';
import type { InForce } from './in-force.ts';
import type { PrimaryMetrics } from './metrics/primary.ts';
import type { Difference } from './policy/policy.ts';
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
  #running: Promise<boolean> | undefined;
  #waiting: Promise<boolean> | undefined;

  constructor(inForce: InForce, loaded: Loaded, options: ReloadsOptions) {
    this.inForce = inForce;
    this.loaded = loaded;
    this.#options = options;
    options.log.level = inForce.config.gateway.log;
    options.metrics.policyLoaded(inForce.digest, Date.now());
  }

  /**
   * One at a time. A call while one is under way, which may have read the files before they changed, starts another behind
   * it, for all such calls together.
   *
   * @returns whether the configuration as it now stands is in force; what stood in the way is logged
   */
  reload(): Promise<boolean> {
    if (this.#running === undefined) {
      this.#running = this.#reload().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#waiting ??= this.#running.then(() => {
      this.#waiting = undefined;
      return this.reload();
    });
    return this.#waiting;
  }

  async #reload(): Promise<boolean> {
    const { env, log, reread, metrics, workers } = this.#options;
    if (reread === undefined) return false;
    try {
      const { loaded, differences, portable } = await reread(this.inForce.config);
      const candidate = await bundle(loaded, env, this.inForce.identityHeaders, portable);
      refuseRotated(this.inForce, candidate.inForce);
      await workers.prepare(candidate);
      await this.#swap(candidate, differences);
      return true;
    } catch (error) {
      workers.discard();
      metrics.reloadRefused();
      if (!(error instanceof SekishoError)) metrics.fault();
      log.error(refusalFacts(error), 'reload refused: nothing was changed');
      return false;
    }
  }

  async #swap(
    { inForce: next, loaded }: Candidate,
    differences: readonly Difference[],
  ): Promise<void> {
    const { log, metrics, workers } = this.#options;
    const from = this.inForce.digest;
    const { digest: to, config } = next;
    this.inForce = next;
    this.loaded = loaded;
    this.loadedAt = new Date();
    log.level = config.gateway.log;
    metrics.policyLoaded(to, Date.now());
    metrics.reloaded();
    const ended = await workers.swap();
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
    // A record that cannot be written is the writer's to tell, and undoes nothing: it is in force.
    await workers.note(event).catch(() => undefined);
    log.info({ from, to, ...countChanges(differences), ended }, 'reloaded');
  }
}

/** A fault of ours is told with its stack; one of the configuration with the place that it names. */
function refusalFacts(error: unknown): object {
  return error instanceof SekishoError
    ? { code: error.code, faults: error.message }
    : { err: error };
}
