import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import { SekishoError } from '../core/errors.ts';
import { makeOwnFile, writeRemedy } from '../secret/own-file.ts';
import { authorityFiles, interceptingAt } from './find.ts';

/** To exchange it takes a change on every workload. */
const LIFE_MS = 5 * 365 * 86_400_000;
/** Clocks of clients may be behind. */
const SKEW_MS = 86_400_000;

/**
 * Makes the CA that a configuration needs and does not name, unless it is there: in the data directory, its key for this
 * user alone, its certificate for everybody.
 *
 * @param now milliseconds since the epoch
 * @throws SekishoError `intercept-ca-unwritable`; `intercept-ca-invalid` where others may read the key
 */
export async function keepAuthority(
  config: Pick<Config, 'rules' | 'intercept' | 'gateway'>,
  now: number,
): Promise<void> {
  if (interceptingAt(config) === undefined || config.intercept.ca !== undefined) return;
  const { dataDir, name } = config.gateway;
  const { certificate, key } = authorityFiles(dataDir);
  try {
    await makeOwnFile(key, newKey);
    const pem = await readFile(key, 'utf8');
    // Loaded only where something is intercepted.
    const { authorityCertificate } = await import('./certificate.ts');
    const selfSigned = () => {
      const own = createPrivateKey(pem);
      const span = { from: now - SKEW_MS, to: now + LIFE_MS };
      return authorityCertificate(nameFor(name), createPublicKey(own), own, span);
    };
    // Made out of the key that is there, whoever put it there: two gateways at their first start agree.
    await makeOwnFile(certificate, selfSigned, 0o644);
  } catch (error) {
    throw unwritable(dataDir, error as NodeJS.ErrnoException);
  }
  const { mode } = await stat(key);
  if ((mode & 0o077) === 0) return;
  const message = `the key ${key} of the CA can be read by other users; chmod 600 it, or where they have read it, remove it and ${certificate}: the next start makes new ones`;
  throw new SekishoError('intercept-ca-invalid', message);
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** What administrators of trust stores see. RFC 5280 A.1: at most 64 characters. */
function nameFor(gateway: string): string {
  return `Sekisho intercept CA ${gateway}`.slice(0, 64);
}

function unwritable(dataDir: string, error: NodeJS.ErrnoException): SekishoError {
  // What OpenSSL says of a key may quote from it.
  const what = error.code ?? 'the key is none';
  return new SekishoError(
    'intercept-ca-unwritable',
    `the CA of intercept cannot be kept in ${dataDir} (${what}); ${writeRemedy(error)}, or name one: intercept.ca`,
    { cause: error },
  );
}
