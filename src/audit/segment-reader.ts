import { type FileHandle, open } from 'node:fs/promises';
import { lastLineEnd, readBackward, readForward } from './lines.ts';

/** Where the last whole line of a segment ends. A segment that was deleted meanwhile is empty, here and below. */
export async function wholeLength(path: string): Promise<number> {
  await using file = await openSegment(path);
  return file === undefined ? 0 : lastLineEnd(file, await sizeOf(file));
}

/** The last lines before an offset that a test takes, oldest first. */
export async function lastLines(
  path: string,
  before: number,
  count: number,
  takes: (line: string) => boolean,
): Promise<string[]> {
  await using file = await openSegment(path);
  if (file === undefined) return [];
  let taken: string[] = [];
  for await (const bytes of readBackward(file, before)) {
    taken = [...splitLines(bytes).filter(takes), ...taken];
    if (taken.length >= count) return taken.slice(-count);
  }
  return taken;
}

/** The whole lines from an offset to the end of what is there now, a block at a time, each with the offset after it. */
export async function* linesFrom(
  path: string,
  from: number,
): AsyncGenerator<{ readonly lines: string[]; readonly end: number }> {
  await using file = await openSegment(path);
  if (file === undefined) return;
  for await (const { bytes, end } of readForward(file, from)) {
    yield { lines: splitLines(bytes), end };
  }
}

/** Every line that holds a text, without decoding the others. */
export async function linesHolding(path: string, text: string): Promise<string[]> {
  await using file = await openSegment(path);
  if (file === undefined) return [];
  const wanted = Buffer.from(text);
  const found: string[] = [];
  for await (const { bytes } of readForward(file, 0)) {
    for (let at = bytes.indexOf(wanted); at >= 0; ) {
      const end = bytes.indexOf('\n', at);
      found.push(bytes.toString('utf8', bytes.lastIndexOf('\n', at) + 1, end));
      at = bytes.indexOf(wanted, end);
    }
  }
  return found;
}

async function openSegment(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function sizeOf(file: FileHandle): Promise<number> {
  return (await file.stat()).size;
}

function splitLines(bytes: Buffer): string[] {
  return bytes.toString('utf8', 0, bytes.length - 1).split('\n');
}
