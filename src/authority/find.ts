import { join } from 'node:path';
import type { Config, SecretRef } from '../config/config.ts';
import type { Position } from '../core/diagnostic.ts';
import type { Secret } from '../core/secret.ts';
import { readSecret } from '../secret/read.ts';
import type { SecretSurroundings } from '../secret/source.ts';
import { type Authority, openAuthority } from './authority.ts';

/** Where the CA lies that the gateway makes for itself. */
export function authorityFiles(dataDir: string) {
  return { certificate: join(dataDir, 'intercept-ca.crt'), key: join(dataDir, 'intercept-ca.key') };
}

/** Where the first rule stands that opens the TLS inside its tunnels; undefined: none does. */
export function interceptingAt({ rules }: Pick<Config, 'rules'>): Position | undefined {
  return rules.find((rule) => rule.effect === 'allow' && rule.intercept)?.at;
}

/**
 * The CA that a configuration needs: the one that it names, or the gateway's own, which is there since it started.
 *
 * @param held what was read of the secrets that it names
 * @throws ConfigError, SekishoError `intercept-ca-invalid`
 */
export function findAuthority(
  config: Pick<Config, 'rules' | 'intercept' | 'gateway'>,
  held: (ref: SecretRef) => Secret,
  surroundings: SecretSurroundings,
): Authority | undefined {
  const at = interceptingAt(config);
  if (at === undefined) return undefined;
  const { ca } = config.intercept;
  if (ca !== undefined) return openAuthority(ca.certificate, held(ca.key));
  const files = authorityFiles(config.gateway.dataDir);
  const read = (path: string) =>
    readSecret({ from: 'file', path, at, multiline: true }, surroundings);
  return openAuthority(read(files.certificate).reveal(), read(files.key));
}
