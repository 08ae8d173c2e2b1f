import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { constants, copyFile, link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SekishoError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

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
    await makeToken(dataDir, file);
  } catch (error) {
    throw unwritable(file, error as NodeJS.ErrnoException);
  }
  return readToken(dataDir);
}

async function makeToken(dataDir: string, file: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if ((await stat(file).catch(() => undefined)) !== undefined) return;
  const fresh = `${file}.${randomUUID()}`;
  try {
    await writeFile(fresh, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
    await appear(fresh, file);
  } finally {
    await rm(fresh, { force: true });
  }
}

const WITHOUT_LINKS: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** A link appears whole or not at all, so that two gateways at their first start agree on one token. */
async function appear(fresh: string, file: string): Promise<void> {
  try {
    await link(fresh, file).catch((error: NodeJS.ErrnoException) => {
      if (!WITHOUT_LINKS.includes(error.code)) throw error;
      return copyFile(fresh, file, constants.COPYFILE_EXCL);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
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

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'make room on its disk',
  EDQUOT: "make room within this user's quota",
  EACCES: 'give this user the right to write there',
  EROFS: 'mount it writable',
};

function unwritable(file: string, error: NodeJS.ErrnoException): SekishoError {
  const remedy = REMEDIES[error.code ?? ''] ?? 'make its folder one that this user may write';
  return new SekishoError(
    'admin-token-unwritable',
    `the admin token ${file} cannot be written: ${error.message}; ${remedy}, or set gateway.dataDir or admin.token`,
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
