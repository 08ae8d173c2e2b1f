import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export type Output = Writable & { isTTY?: boolean };

/** Writes no faster than the reader takes it, and ends quietly when he has enough: `| head`. */
export async function print(text: AsyncIterable<string>, output: Output): Promise<void> {
  try {
    await pipeline(text, output, { end: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}
