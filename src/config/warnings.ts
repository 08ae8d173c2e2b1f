import { type Diagnostic, quote, warning } from '../core/diagnostic.ts';
import { findClearIdentity, findTrustedClients } from './client-warnings.ts';
import type { Config } from './config.ts';
import { findBroadDestinations } from './destination-warnings.ts';
import { findClearCredentials, findUnseeingDenies } from './exit-warnings.ts';
import type { Merged } from './merge.ts';
import type { Names } from './names.ts';
import { secretRefs } from './secret-refs.ts';
import { findUnused } from './unused.ts';

/**
 * What is permitted and most likely not meant, in a configuration without faults.
 *
 * @param now milliseconds since the epoch
 */
export function findWarnings(
  config: Config,
  merged: Merged,
  names: Names,
  now: number,
): Diagnostic[] {
  return [
    ...findUnused(config, merged, names),
    ...findLiterals(config),
    ...findExpired(config, now),
    ...findClearIdentity(config),
    ...findTrustedClients(config),
    ...findBroadDestinations(config, merged),
    ...findClearCredentials(config),
    ...findUnseeingDenies(config),
  ];
}

function findLiterals(config: Config): Diagnostic[] {
  const remedy = 'keep it outside: { env: NAME } or { file: PATH }';
  return secretRefs(config)
    .filter(({ from }) => from === 'literal')
    .map(({ at }) => warning(at, 'a secret stands in this file', remedy));
}

function findExpired({ rules }: Config, now: number): Diagnostic[] {
  return rules
    .filter(({ expiresMs }) => expiresMs !== undefined && expiresMs < now)
    .map(({ name, at }) => {
      const message = `the rule ${quote(name)} has expired, so it matches nothing`;
      return warning(at, message, 'renew or remove it');
    });
}
