import type { SecretRef } from '../config/config.ts';
import { ConfigError, type Diagnostic, Fault } from '../core/diagnostic.ts';
import { Secret } from '../core/secret.ts';
import { envSource } from './env.ts';
import { fileSource } from './file.ts';
import { literalSource } from './literal.ts';
import { checkValue, type SecretSource, type SecretSurroundings } from './source.ts';

/** One entry per kind of source. */
const SOURCES: { readonly [From in SecretRef['from']]: SecretSource<From> } = {
  env: envSource,
  file: fileSource,
  literal: literalSource,
};

/** Reads one secret. @throws ConfigError with the one fault */
export function readSecret(ref: SecretRef, surroundings: SecretSurroundings): Secret {
  const secret = readSecrets([ref], surroundings).get(ref);
  return secret as Secret;
}

/**
 * Reads every secret that is referred to.
 *
 * @throws ConfigError with the faults of all of them; none of the messages holds a value
 */
export function readSecrets(
  refs: readonly SecretRef[],
  surroundings: SecretSurroundings,
): ReadonlyMap<SecretRef, Secret> {
  const secrets = new Map<SecretRef, Secret>();
  const faults: Diagnostic[] = [];
  for (const ref of refs) {
    try {
      secrets.set(ref, readOne(ref.from, ref, surroundings));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      faults.push(error.at(ref.at));
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return secrets;
}

function readOne<From extends SecretRef['from']>(
  from: From,
  ref: SecretRef,
  surroundings: SecretSurroundings,
): Secret {
  const source: SecretSource<From> = SOURCES[from];
  const own = ref as Parameters<typeof source.read>[0];
  const value = source.read(own, surroundings);
  const description = source.describe(own);
  checkValue(description, value, ref.multiline);
  return new Secret(description, value);
}
