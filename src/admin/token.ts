import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SekishoError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { makeOwnFile, writeRemedy } from '../secret/own-file.ts';

/** Where the token lies that the gateway makes for itself. */
export function tokenFile(dataDir: string): string {
  return join(dataDir, 'admin.token');
}

/**
 * The token in the data directory, made at the first start and kept from then on.
 *
 * @throws SekishoError `admin-token-invalid` when others may read it, or when it is empty; `admin-token-unwritable` when
 * none can be made
 */
export async function keepToken(dataDir: string): Promise<Secret> {
  const file = tokenFile(dataDir);
  try {
    await makeOwnFile(file, () => `${randomBytes(32).toString('base64url')}\n`);
  } catch (error) {
    throw unwritable(file, error as NodeJS.ErrnoException);
  }
  return readToken(dataDir);
}

/** @throws SekishoError `admin-token-invalid` */
export async function readToken(dataDir: string): Promise<Secret> {
  const file = tokenFile(dataDir);
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw invalid(`cannot be read: ${error.message}`, file, { cause: error });
  });
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) throw invalid('can be read by other users', file);
  if (text.trim() === '') throw invalid('is empty', file);
  return new Secret(`file ${file}`, text.trim());
}

function invalid(what: string, file: string, options?: ErrorOptions): SekishoError {
  return new SekishoError(
    'admin-token-invalid',
    `the admin token ${file} ${what}; where the file is wrong, remove it: the next start makes a new one`,
    options,
  );
}

function unwritable(file: string, error: NodeJS.ErrnoException): SekishoError {
  return new SekishoError(
    'admin-token-unwritable',
    `the admin token ${file} cannot be written: ${error.message}; ${writeRemedy(error)}, or set gateway.dataDir or admin.token`,
    { cause: error },
  );
}

/** The `Authorization` header for the admin API. */
export function authorization(token: Secret): string {
  return `Bearer ${token.reveal()}`;
}

/** Whether an `Authorization` header carries the token. Takes the same time for every wrong one. */
export function carriesToken(header: string | undefined, token: Secret): boolean {
  const given = /^Bearer +([^ ]+)$/i.exec(header ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(token.reveal()));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
