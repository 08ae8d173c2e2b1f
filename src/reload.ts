import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { ConfigError, type Diagnostic } from './core/diagnostic.ts';
import { SekishoError } from './core/errors.ts';
import { FileWatch } from './file-watch.ts';
import { type InForce, putTogether } from './in-force.ts';
import type { Parts } from './parts.ts';
import { checkExpectations } from './policy/expectations.ts';
import { type Difference, diff } from './policy/policy.ts';
import { findRuleProblems } from './policy/problems.ts';

/** What a reload found, before anything was changed. */
export interface Prepared {
  readonly next: InForce;
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
  const before = current.loaded.config;
  refuseRestart(before, loaded.config);
  const next = putTogether(loaded, env, current.identityHeaders);
  const faults: Diagnostic[] = [
    ...findRuleProblems(loaded.config, now).filter(({ severity }) => severity === 'fault'),
    ...checkExpectations(next.policy, loaded.config.expect, now),
  ];
  if (faults.length > 0) throw new ConfigError(faults);
  return { next, differences: diff(before, loaded.config, now) };
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
  'gateway.health': ({ gateway }) => gateway.health,
  'gateway.resolvers': ({ gateway }) => gateway.resolvers,
  admin: ({ admin }) => ({ bind: admin.bind, token: admin.token !== undefined }),
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

/** Reloads whenever a file changes that the configuration in force was read from. */
export function watchFiles(parts: Parts): { close(): Promise<void> } {
  const watch = new FileWatch(() => {
    void reload(parts).then(() => watch.watch(parts.inForce.loaded));
  });
  watch.watch(parts.inForce.loaded);
  return { close: async () => watch.close() };
}

/** @returns whether the configuration as it now stands is in force; what stood in the way is logged */
export async function reload(parts: Parts): Promise<boolean> {
  const { log, metrics, recorder, surroundings } = parts;
  const { loadAgain, env } = surroundings;
  if (loadAgain === undefined || parts.state !== 'accepting') return false;
  const before = parts.inForce.loaded.digest;
  try {
    const { next, differences } = prepare(parts.inForce, loadAgain, env, Date.now());
    const { config, digest } = next.loaded;
    recorder.adopt({
      policy: digest,
      owned: config.networks.owned,
      onFailure: config.audit.onFailure,
    });
    parts.inForce = next;
    metrics.policyLoaded(digest, Date.now());
    const ended = parts.tunnels.endDenied(next, Date.now());
    await recorder.reloaded({ from: before, to: digest, differences, ended });
    log.info({ from: before, to: digest, ...countChanges(differences), ended }, 'reloaded');
    return true;
  } catch (error) {
    metrics.reloadRefused();
    if (!(error instanceof SekishoError)) metrics.fault();
    log.error(refusalFacts(error), 'reload refused: nothing was changed');
    return false;
  }
}

/** A fault of ours is told with its stack; one of the configuration with the place that it names. */
function refusalFacts(error: unknown): object {
  return error instanceof SekishoError
    ? { code: error.code, faults: error.message }
    : { err: error };
}
