import { isDeepStrictEqual } from 'node:util';
import type { Config, SecretRef } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import type { PortableConfig } from './config/portable.ts';
import { ConfigError, type Diagnostic } from './core/diagnostic.ts';
import { SekishoError } from './core/errors.ts';
import { checkExpectations } from './policy/expectations.ts';
import { compile, type Difference, diff } from './policy/policy.ts';
import { findRuleProblems } from './policy/problems.ts';
import { closing } from './published/held-set.ts';

/** A configuration that was read anew, and what it would change for whom. */
export interface Examined {
  readonly loaded: Loaded;
  readonly differences: readonly Difference[];
  /** The configuration, where it came from elsewhere. */
  readonly portable?: PortableConfig;
}

/**
 * Looks for everything that speaks against putting a configuration in place of another one. Sets whose lists are too old are
 * closed in what comes back.
 *
 * @param now milliseconds since the epoch
 * @throws ConfigError with every fault of the rules together and of the `expect` tests
 * @throws SekishoError `reload-needs-restart` naming what only a restart can change
 */
export function examine(loaded: Loaded, before: Config, now: number): Examined {
  const { config } = loaded;
  refuseRestart(before, config);
  examineRules(config, now);
  const after = closing(config, now);
  return { loaded: { ...loaded, config: after }, differences: diff(before, after, now) };
}

/**
 * @param config with its sets open: what is expected is expected of lists that are kept up
 * @param now milliseconds since the epoch
 * @throws ConfigError with every fault of the rules together and of the `expect` tests
 */
export function examineRules(config: Config, now: number): void {
  const faults: Diagnostic[] = [
    ...findRuleProblems(config, now).filter(({ severity }) => severity === 'fault'),
    ...checkExpectations(compile(config), config.expect, now),
  ];
  if (faults.length > 0) throw new ConfigError(faults);
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

/** Where a value stands in the file changes nothing. */
function withoutPlace([name, value]: readonly [string, string | SecretRef]): unknown {
  if (typeof value === 'string') return [name, value];
  const { at, ...source } = value;
  return [name, source];
}
