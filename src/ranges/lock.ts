import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { RangesError } from './ranges-error.ts';

/**
 * Keeps a second apply out. The lock is the operating system's: it ends with the process that holds it, however that ends.
 *
 * @param path a file of its own; its folder is created where it is missing
 * @throws RangesError `ranges-locked` when another process holds it
 */
export function lockApply(path: string): Disposable {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    const message = `another apply is under way here (${path} is locked), and this one stops`;
    throw new RangesError('ranges-locked', message, { cause: error });
  }
  return { [Symbol.dispose]: () => database.close() };
}
