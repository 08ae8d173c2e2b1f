import type { RemoteSecretRef } from '../../src/config/config.ts';
import { CACHE_LIMITS, type CacheLimits, SecretCache } from '../../src/secret/cache.ts';
import { SecretStore } from '../../src/secret/store.ts';

/** A store of secrets on a clock of the test's own, which tells what its sources were asked and why they failed. */
export function createSecretStore(env: Record<string, string>, limits: Partial<CacheLimits> = {}) {
  const clock = { ms: 0 };
  const reads: string[] = [];
  const failures: string[] = [];
  const cache = new SecretCache(
    {
      now: () => clock.ms,
      random: Math.random,
      meter: { read: (source, outcome) => reads.push(`${source} ${outcome}`) },
      failed: (_key, { message }) => failures.push(message),
    },
    { ...CACHE_LIMITS, ...limits },
  );
  return { store: new SecretStore(cache, { env }), clock, reads, failures };
}

const at = { file: 'sekisho.yaml', line: 1, column: 1 };

export const ssmRef = (name: string): RemoteSecretRef => ({ from: 'ssm', name, at });
export const secretsManagerRef = (id: string, key?: string): RemoteSecretRef => ({
  from: 'secretsManager',
  id,
  key,
  at,
});
export const vaultRef = (path: string, key: string): RemoteSecretRef => ({
  from: 'vault',
  path,
  key,
  at,
});
