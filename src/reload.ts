import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { secretRefs } from './config/secret-refs.ts';
import { ConfigError, type Diagnostic } from './core/diagnostic.ts';
import { SekishoError } from './core/errors.ts';
import { type InForce, putTogether } from './in-force.ts';
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
  'audit (but onFailure)': ({ audit: { onFailure, checkpoint, ...audit } }) => ({
    ...audit,
    checkpoint: checkpoint && { ...checkpoint, key: { ...checkpoint.key, at: undefined } },
  }),
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

const LOOK_MS = 1_000;

/**
 * Calls when any file that a configuration was read from changes, or when one comes or goes beside it. Files are looked
 * at by name, so that an editor's rename and a mount that is swapped as a whole are seen as well.
 */
export class FileWatch {
  readonly #changed: () => void;
  readonly #timer: NodeJS.Timeout;
  #paths: readonly string[] = [];
  #stamp = '';

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** From now on these. What changed since the last look is seen at the next one. */
  watch({ files, config }: Loaded): void {
    const secrets = secretRefs(config).flatMap((ref) => (ref.from === 'file' ? [ref.path] : []));
    const paths = [...files.keys(), ...secrets];
    const watched = [...new Set([...paths, ...paths.map((path) => dirname(path))])].sort();
    if (isDeepStrictEqual(watched, this.#paths)) return;
    const isFirst = this.#paths.length === 0;
    this.#paths = watched;
    // Other files than before: nobody knows whether they changed while they were read, so they are read once more.
    this.#stamp = isFirst ? stampOf(watched) : '';
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const stamp = stampOf(this.#paths);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    this.#changed();
  }
}

/** A missing file has a stamp of its own: that it went is a change. */
function stampOf(paths: readonly string[]): string {
  return paths
    .map((path) => statSync(path, { throwIfNoEntry: false }))
    .map((stat) => (stat === undefined ? '-' : `${stat.mtimeMs} ${stat.ino} ${stat.size}`))
    .join();
}
