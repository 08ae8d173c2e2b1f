import { readFile } from 'node:fs/promises';
import { RangesError } from '../ranges-error.ts';
import { reasonOf } from '../surroundings.ts';

/** @throws RangesError `ranges-unavailable` */
export async function readListFile(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    const message = `${path} cannot be read: ${reasonOf(error)}`;
    throw new RangesError('ranges-unavailable', message, { cause: error });
  }
}
