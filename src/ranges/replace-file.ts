import { randomUUID } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

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

/** What is not there is undefined; other errors go on. */
export function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
