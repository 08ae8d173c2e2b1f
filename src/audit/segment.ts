import { closeSync, fdatasync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nextMidnight, segmentName } from './segment-name.ts';

/** The file under a segment: what the operating system offers, one call each. */
export interface SegmentFile {
  /** Appends what it can, from `offset` on, and tells how many bytes that were. */
  write(bytes: Buffer, offset: number): number;
  truncate(size: number): void;
  /** Resolves once everything written so far is on disk. */
  sync(): Promise<void>;
  close(): void;
}

const syncData = promisify(fdatasync);

/** Creates a file that did not exist, for this process's user only. */
export function createFile(path: string): SegmentFile {
  const fd = openSync(path, 'ax', 0o600);
  return {
    write: (bytes, offset) => writeSync(fd, bytes, offset),
    truncate: (size) => ftruncateSync(fd, size),
    sync: () => syncData(fd),
    close: () => closeSync(fd),
  };
}

/** Puts a new name on disk: without it, a power loss may take the file with all that was synced. */
export function syncDirectory(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const NEWLINE = Buffer.from('\n');

/** One file of the record while it is being written. */
export class Segment {
  readonly path: string;
  /** From here on (milliseconds since the epoch) lines belong in another segment. */
  readonly endsMs: number;
  readonly #file: SegmentFile;
  #size = 0;
  #torn = false;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  constructor(path: string, endsMs: number, file: SegmentFile) {
    this.path = path;
    this.endsMs = endsMs;
    this.#file = file;
  }

  /** In bytes. */
  get size(): number {
    return this.#size;
  }

  /** Appends whole lines: all of them, or none and an error. */
  append(lines: Buffer): void {
    const bytes = this.#torn ? Buffer.concat([NEWLINE, lines]) : lines;
    let done = 0;
    try {
      while (done < bytes.length) {
        const count = this.#file.write(bytes, done);
        if (count === 0) throw new Error('the file takes no more bytes');
        done += count;
      }
    } catch (error) {
      if (done > 0) this.#cutBack(done);
      throw error;
    }
    this.#size += done;
    this.#torn = false;
  }

  /** Removes what an append left behind; where the file does not allow it, the next line will start on its own. */
  #cutBack(left: number): void {
    try {
      this.#file.truncate(this.#size);
    } catch {
      this.#size += left;
      this.#torn = true;
    }
  }

  /** Resolves once everything appended so far is on disk. Calls during one sync share the next. */
  sync(): Promise<void> {
    // The one under way may have begun before the last append, so it vouches for nothing here.
    if (this.#syncing === undefined) return this.#startSync();
    const start = () => this.#startSync();
    this.#nextSync ??= this.#syncing.then(start, start);
    return this.#nextSync;
  }

  #startSync(): Promise<void> {
    this.#nextSync = undefined;
    this.#syncing = this.#file.sync().finally(() => {
      this.#syncing = undefined;
    });
    return this.#syncing;
  }

  /** Waits for the syncs under way, whose callers hear of their failures. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#syncing, this.#nextSync]);
    this.#file.close();
  }
}

/** Opens a new segment of a directory. @throws what the file system says */
export function createSegment(
  dir: string,
  nowMs: number,
  create: (path: string) => SegmentFile,
): Segment {
  for (let startedMs = nowMs; ; startedMs++) {
    const path = join(dir, segmentName(startedMs, process.pid));
    try {
      return new Segment(path, nextMidnight(startedMs), create(path));
    } catch (error) {
      // Two segments within a millisecond, or a process of the same number before this one.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
