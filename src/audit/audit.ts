import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { SekishoError } from '../core/errors.ts';
import { createFile, type SegmentFile } from './segment.ts';
import { readHead } from './segment-end.ts';
import { listSegments } from './segment-name.ts';
import { SegmentWriter, type WriterOptions } from './writer.ts';

export interface SegmentsOptions extends Omit<WriterOptions, 'worker' | 'after' | 'create'> {
  /** Another way to make a segment's file. */
  readonly create?: (path: string) => SegmentFile;
}

/**
 * Opens the segments that one process writes: behind the newest of the directory, whoever wrote it.
 *
 * @throws SekishoError `audit-unavailable` naming the directory, when a segment cannot be created there
 */
export async function openSegments(options: SegmentsOptions): Promise<SegmentWriter> {
  const { dir, create = createFile } = options;
  return inAuditDir(dir, async () => {
    const newest = (await listSegments(dir)).at(-1);
    const after = newest === undefined ? null : await readHead(newest);
    return new SegmentWriter({ ...options, worker: randomUUID(), after, create });
  });
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'make room on its disk',
  EDQUOT: "make room within this user's quota",
  EROFS: 'mount it writable',
};

/**
 * Does something in the folder of the record, which is created, for this process's user only, where it is missing.
 *
 * @throws SekishoError `audit-unavailable` naming the folder and what would help
 */
export async function inAuditDir<T>(dir: string, work: () => Promise<T>): Promise<T> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return await work();
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const remedy = REMEDIES[code ?? ''] ?? 'make it a directory that this user may write';
    throw new SekishoError(
      'audit-unavailable',
      `the audit record cannot be written in ${dir}: ${message}; ${remedy}, or set gateway.dataDir`,
      { cause: error },
    );
  }
}
