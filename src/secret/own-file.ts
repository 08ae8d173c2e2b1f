import { randomUUID } from 'node:crypto';
import { constants, copyFile, link, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a file that the gateway keeps for itself, unless it is there already.
 *
 * @param make its text
 * @param mode who may read it; default: this user alone
 */
export async function makeOwnFile(path: string, make: () => string, mode = 0o600): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if ((await stat(path).catch(() => undefined)) !== undefined) return;
  const fresh = `${path}.${randomUUID()}`;
  try {
    await writeFile(fresh, make(), { mode });
    await appear(fresh, path);
  } finally {
    await rm(fresh, { force: true });
  }
}

const WITHOUT_LINKS: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** A link appears whole or not at all, so that two gateways at their first start agree on one file. */
async function appear(fresh: string, path: string): Promise<void> {
  try {
    await link(fresh, path).catch((error: NodeJS.ErrnoException) => {
      if (!WITHOUT_LINKS.includes(error.code)) throw error;
      return copyFile(fresh, path, constants.COPYFILE_EXCL);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'make room on its disk',
  EDQUOT: "make room within this user's quota",
  EACCES: 'give this user the right to write there',
  EROFS: 'mount it writable',
};

export function writeRemedy({ code }: NodeJS.ErrnoException): string {
  return REMEDIES[code ?? ''] ?? 'make its folder one that this user may write';
}
