import { isDeepStrictEqual } from 'node:util';
import type { ReloadEvent } from './audit/event.ts';
import { bundle, type Candidate } from './candidate.ts';
import type { Config, SecretRef } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { ConfigError, type Diagnostic } from './core/diagnostic.ts';
import { SekishoError } from './core/errors.ts';
import type { InForce } from './in-force.ts';
import type { PrimaryMetrics } from './metrics/primary.ts';
import { checkExpectations } from './policy/expectations.ts';
import { type Difference, diff } from './policy/policy.ts';
import { findRuleProblems } from './policy/problems.ts';
import type { PrimarySurroundings, Workers } from './workers.ts';

/** What a reload found, before anything was changed. */
export interface Prepared {
  readonly candidate: Candidate;
  readonly differences: readonly Difference[];
}

/**
 * Makes everything of a new configuration ready beside what is in force. Nothing is changed: whoever calls this swaps.
 *
 * @throws ConfigError with every fault: of the files, the secrets, the rules together, the `expect` tests
 * @throws SekishoError `reload-needs-restart` naming what only a restart can change
 */
export function prepare(
  current: InForce,
  loadAgain: () => Loaded,
  env: Readonly<Record<string, string | undefined>>,
  now: number,
): Prepared {
  const loaded = loadAgain();
  const before = current.config;
  refuseRestart(before, loaded.config);
  const candidate = bundle(loaded, env, current.identityHeaders);
  refuseRotated(current, candidate.inForce);
  const faults: Diagnostic[] = [
    ...findRuleProblems(loaded.config, now).filter(({ severity }) => severity === 'fault'),
    ...checkExpectations(candidate.inForce.policy, loaded.config.expect, now),
  ];
  if (faults.length > 0) throw new ConfigError(faults);
  return { candidate, differences: diff(before, loaded.config, now) };
}

/** How many gain, lose, or go another way. */
export function countChanges(
  differences: readonly Difference[],
): Record<Difference['change'], number> {
  const counts = { gains: 0, loses: 0, changes: 0 };
  for (const { change } of differences) counts[change]++;
  return counts;
}

/** Parts that are built once: a reload that would change one of them changes nothing. */
const BUILT_ONCE: Readonly<Record<string, (config: Config) => unknown>> = {
  'gateway.name': ({ gateway }) => gateway.name,
  'gateway.dataDir': ({ gateway }) => gateway.dataDir,
  'gateway.workers': ({ gateway }) => gateway.workers,
  'gateway.health': ({ gateway }) => gateway.health,
  'gateway.resolvers': ({ gateway }) => gateway.resolvers,
  admin: ({ admin }) => ({ bind: admin.bind, token: admin.token !== undefined }),
  traces: ({ traces: { otlp } }) =>
    otlp && { ...otlp, headers: [...otlp.headers].map(withoutPlace) },
  'audit (but onFailure)': ({ audit: { onFailure, ...audit } }) => audit,
  'the bind, tls or proxyProtocol of a listener': ({ listeners }) =>
    listeners.map(({ name, type, bind, tls, proxyProtocol }) => ({
      name,
      type,
      bind,
      tls,
      from: proxyProtocol?.from.map(String),
    })),
};

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

/** Where a value stands in the file changes nothing. */
function withoutPlace([name, value]: readonly [string, string | SecretRef]): unknown {
  if (typeof value === 'string') return [name, value];
  const { at, ...source } = value;
  return [name, source];
}

function refuseRestart(before: Config, after: Config): void {
  const changed = Object.entries(BUILT_ONCE)
    .filter(([, read]) => !isDeepStrictEqual(read(before), read(after)))
    .map(([name]) => name);
  if (changed.length === 0) return;
  throw new SekishoError(
    'reload-needs-restart',
    `only a restart changes ${changed.join(', ')}; nothing was changed`,
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
    const { env, log, loadAgain, metrics, workers } = this.#options;
    if (loadAgain === undefined) return false;
    try {
      const { candidate, differences } = prepare(this.inForce, loadAgain, env, Date.now());
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
