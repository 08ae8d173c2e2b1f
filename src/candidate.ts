import type { Loaded } from './config/load.ts';
import { load } from './config/load.ts';
import { type Recording, replay } from './config/recording.ts';
import type { Environment } from './config/surroundings.ts';
import { type InForce, putTogether } from './in-force.ts';
import { readSecretFile } from './secret/file.ts';
import { SecretFiles } from './secret/secret-files.ts';

/** Another configuration, made ready and not yet in force. */
export interface Candidate {
  readonly inForce: InForce;
  /** What it takes to make the same of it in another process. */
  readonly bundle: Bundle;
}

/** What an `InForce` is made from, as plain values that can be sent. */
export interface Bundle {
  readonly recording: Recording;
  /** Contents of the files that secrets are in, by path. */
  readonly secretFiles: ReadonlyMap<string, Uint8Array>;
  readonly identityHeaders: ReadonlySet<string>;
}

/** Puts together what was loaded, and all that it takes to do the same elsewhere. @throws ConfigError */
export function bundle(
  loaded: Loaded,
  env: Environment,
  identityHeaders: ReadonlySet<string> = new Set(),
): Candidate {
  const files = new SecretFiles(readSecretFile);
  const inForce = putTogether(loaded, { env, files }, identityHeaders);
  const { recording } = loaded;
  return { inForce, bundle: { recording, secretFiles: files.contents(), identityHeaders } };
}

/** The same from what another process sent. @throws ConfigError */
export function unbundle(
  { recording, secretFiles, identityHeaders }: Bundle,
  env: Environment,
): InForce {
  const files = new SecretFiles(readSecretFile, secretFiles);
  return putTogether(load(recording.file, replay(recording, env)), { env, files }, identityHeaders);
}
