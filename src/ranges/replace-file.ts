import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Puts text in place of a file: whoever reads it sees the old one or the new one, whatever happens on the way. Mode and
 * owner stay as they were.
 */
export async function replaceFile(path: string, text: string, mode = 0o644): Promise<void> {
  const beside = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  const before = await stat(path).catch(absent);
  try {
    await using file = await open(beside, 'wx', mode);
    if (before !== undefined) {
      await file.chmod(before.mode & 0o7777);
      const own = await file.stat();
      if (own.uid !== before.uid || own.gid !== before.gid)
        await file.chown(before.uid, before.gid);
    }
    await file.writeFile(text);
    await file.sync();
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** Removes what a writer that was killed has left beside a file. Only where no other one can be at work. */
export async function removeLeftovers(path: string): Promise<void> {
  const begin = `.${basename(path)}.`;
  const isLeft = (name: string) => name.startsWith(begin) && UUID.test(name.slice(begin.length));
  const left = (await readdir(dirname(path))).filter(isLeft);
  for (const name of left) await rm(join(dirname(path), name), { force: true });
}

/** What is not there is undefined; other errors go on. */
export function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
