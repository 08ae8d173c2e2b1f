import type { Environment } from './config/surroundings.ts';
import { Credentials } from './credential/credentials.ts';
import type { Logger } from './log.ts';
import { findIdentity } from './secret/aws-identity.ts';
import { SecretCache, type SecretMeter } from './secret/cache.ts';
import { SecretStore } from './secret/store.ts';

/** The credentials of this process. What was read of their secrets outlives a reload. */
export function createCredentials(env: Environment, meter: SecretMeter, log: Logger): Credentials {
  const cache = new SecretCache({
    now: () => performance.now(),
    random: Math.random,
    meter,
    failed: (secret, { code, message }) => {
      log.warn({ secret, reason: code, detail: message }, 'a secret cannot be had');
    },
  });
  return new Credentials({
    store: new SecretStore(cache, { env }),
    identity: findIdentity({ env }),
    now: Date.now,
  });
}
