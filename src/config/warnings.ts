import { type Diagnostic, quote, warning } from '../core/diagnostic.ts';
import { findClearIdentity, findTrustedClients } from './client-warnings.ts';
import type { Config } from './config.ts';
import { findBroadDestinations } from './destination-warnings.ts';
import { findClearCredentials, findUnseeingDenies } from './exit-warnings.ts';
import type { Merged } from './merge.ts';
import type { Names } from './names.ts';
import { findRentedAddresses } from './published-warnings.ts';
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
    ...findEndingCredentials(config, now),
    ...findClearIdentity(config),
    ...findTrustedClients(config),
    ...findBroadDestinations(config, merged),
    ...findRentedAddresses(config),
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

/** A credential is told to end so long before. */
const ENDING_MS = 30 * 86_400_000;

function findEndingCredentials({ credentials }: Config, now: number): Diagnostic[] {
  return credentials.flatMap(({ name, expiresMs = Number.POSITIVE_INFINITY, at }) => {
    if (expiresMs - now > ENDING_MS) return [];
    const day = new Date(expiresMs).toISOString().slice(0, 10);
    const message = `the credential ${quote(name)} ${expiresMs < now ? 'ended' : 'ends'} on ${day}`;
    return [warning(at, message, 'have another one issued, and store it in place of this')];
  });
}

function findExpired({ rules }: Config, now: number): Diagnostic[] {
  return rules
    .filter(({ expiresMs }) => expiresMs !== undefined && expiresMs < now)
    .map(({ name, at }) => {
      const message = `the rule ${quote(name)} has expired, so it matches nothing`;
      return warning(at, message, 'renew or remove it');
    });
}
