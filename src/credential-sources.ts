import type { Environment } from './config/surroundings.ts';
import { Credentials } from './credential/credentials.ts';
import type { Logger } from './log.ts';
import { findIdentity } from './secret/aws-identity.ts';
import { SecretCache, type SecretMeter } from './secret/cache.ts';
import { SecretStore } from './secret/store.ts';

/**
 * What was read of secrets outlives a reload.
 *
 * @param now milliseconds of a clock that goes on whatever becomes of this process
 */
export function openSecretStore(
  env: Environment,
  meter: SecretMeter,
  log: Logger,
  now = () => performance.now(),
): SecretStore {
  const cache = new SecretCache({
    now,
    random: Math.random,
    meter,
    failed: (secret, { code, message }) => {
      log.warn({ secret, reason: code, detail: message }, 'a secret cannot be had');
    },
  });
  return new SecretStore(cache, { env });
}

/** The credentials of this process. */
export function credentialsFrom(store: SecretStore, env: Environment, log: Logger): Credentials {
  return new Credentials({
    store,
    identity: findIdentity({ env }),
    now: Date.now,
    unusable: (credential, { message }) => {
      log.warn({ credential, detail: message }, 'what is stored makes no credential');
    },
  });
}

export function createCredentials(env: Environment, meter: SecretMeter, log: Logger): Credentials {
  return credentialsFrom(openSecretStore(env, meter, log), env, log);
}
