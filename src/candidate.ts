import { keepAuthority } from './authority/own-authority.ts';
import type { Loaded } from './config/load.ts';
import { type PortableConfig, packing, unpacking } from './config/portable.ts';
import type { Environment } from './config/surroundings.ts';
import { type InForce, puttingTogether } from './in-force.ts';
import { readSecretFile } from './secret/file.ts';
import { SecretFiles } from './secret/secret-files.ts';
import { inSlices } from './slices.ts';

/** A configuration, made ready and not yet in force. */
export interface Candidate {
  readonly inForce: InForce;
  readonly loaded: Loaded;
  /** What it takes to make the same of it in another process. */
  readonly bundle: Bundle;
}

/**
 * What an `InForce` is made from, as plain values that can be sent: read and parsed once, by the primary, so that all
 * workers have the same whatever becomes of the files, and none of them stops serving to parse text.
 */
export interface Bundle {
  readonly config: PortableConfig;
  readonly digest: string;
  /** Contents of the files that secrets are in, by path. */
  readonly secretFiles: ReadonlyMap<string, Uint8Array>;
  readonly identityHeaders: ReadonlySet<string>;
}

/**
 * @param kept what is at hand already: the same configuration, and what secrets are to be read from as it was
 * @throws ConfigError naming every secret that cannot be read
 * @throws SekishoError `intercept-ca-unwritable`, `intercept-ca-invalid`
 */
export async function bundle(
  loaded: Loaded,
  env: Environment,
  identityHeaders: ReadonlySet<string> = new Set(),
  kept: {
    portable?: PortableConfig | undefined;
    secretFiles?: Bundle['secretFiles'] | undefined;
  } = {},
): Promise<Candidate> {
  await keepAuthority(loaded.config, Date.now());
  const files = new SecretFiles(readSecretFile, kept.secretFiles);
  const inForce = await inSlices(puttingTogether(loaded, { env, files }, identityHeaders));
  const { digest } = loaded;
  return {
    inForce,
    loaded,
    bundle: {
      config: kept.portable ?? (await inSlices(packing(loaded.config))),
      digest,
      secretFiles: files.contents(),
      identityHeaders,
    },
  };
}

/** The same from what another process sent. The environment is left out of that: processes of one gateway share it. */
export async function unbundle(
  { config: portable, digest, secretFiles, identityHeaders }: Bundle,
  env: Environment,
): Promise<InForce> {
  const files = new SecretFiles(readSecretFile, secretFiles);
  const config = await inSlices(unpacking(portable));
  return inSlices(puttingTogether({ config, digest }, { env, files }, identityHeaders));
}
