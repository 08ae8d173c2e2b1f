import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { statedChain } from './chain.ts';
import { lastLineEnd, readBackward, readForward } from './lines.ts';
import type { SegmentHead } from './segment-header.ts';
import type { SegmentName } from './segment-name.ts';

/** Reads where a segment of another process ends; a torn last line is left out. */
export async function readHead({ path, pid }: SegmentName): Promise<SegmentHead> {
  await using file = await open(path, 'r');
  const length = await lastLineEnd(file, (await file.stat()).size);
  const head = { segment: basename(path), length, closed: !isAlive(pid) };
  for await (const bytes of readBackward(file, length)) {
    const start = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
    return { ...head, chain: statedChain(bytes.subarray(start, -1)) ?? null };
  }
  return { ...head, chain: null };
}

/** A process that has this one's number cannot be another that is still there. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** How many whole lines a segment has within its first `length` bytes. */
export async function countLines(path: string, length: number): Promise<number> {
  await using file = await open(path, 'r');
  let lines = 0;
  for await (const { bytes, end } of readForward(file, 0)) {
    const counted = bytes.subarray(0, bytes.length - Math.max(0, end - length));
    for (let at = counted.indexOf('\n'); at >= 0; at = counted.indexOf('\n', at + 1)) lines++;
    if (end >= length) break;
  }
  return lines;
}
