import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Chainer, statedChain } from './chain.ts';
import type { SegmentHead } from './segment-header.ts';
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

/** A segment's head and how many lines it has. */
export interface CountedHead extends SegmentHead {
  readonly lines: number;
}

/** One file of the record while it is being written. */
export class Segment {
  readonly path: string;
  /** From here on (milliseconds since the epoch) lines belong in another segment. */
  readonly endsMs: number;
  readonly #file: SegmentFile;
  /** Goes before the first lines, so that a segment that could not take it is as good as none. */
  readonly #header: string;
  readonly #chainer = new Chainer();
  #length = 0;
  #lines = 0;
  #chain: string | null = null;
  #torn = false;
  #closed = false;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  constructor(path: string, endsMs: number, header: string, file: SegmentFile) {
    this.path = path;
    this.endsMs = endsMs;
    this.#header = header;
    this.#file = file;
  }

  get head(): CountedHead {
    const [length, lines, chain] = [this.#length, this.#lines, this.#chain];
    return { segment: basename(this.path), length, lines, chain, closed: this.#closed };
  }

  /** Ends with a part of a line that could not be removed: nothing may be appended behind it. */
  get torn(): boolean {
    return this.#torn;
  }

  /** In bytes. */
  get size(): number {
    return this.#length;
  }

  /** Appends whole lines, behind the header where they are the first: all of them, or an error. */
  append(lines: readonly string[]): void {
    const all = this.#chain === null ? [this.#header, ...lines] : lines;
    const { bytes, chain } = this.#chainer.chain(this.#chain, all);
    let done = 0;
    try {
      while (done < bytes.length) {
        const count = this.#file.write(bytes, done);
        if (count === 0) throw new Error('the file takes no more bytes');
        done += count;
      }
    } catch (error) {
      if (done > 0) this.#cutBack(bytes.subarray(0, done));
      throw error;
    }
    this.#length += done;
    this.#lines += all.length;
    this.#chain = chain;
  }

  /**
   * Removes what an append left behind. A file that was made append-only does not allow it: then whole lines that got
   * through stand, since what is recorded and did not happen misleads less than the contrary.
   */
  #cutBack(left: Buffer): void {
    try {
      this.#file.truncate(this.#length);
    } catch {
      this.#torn = true;
      let start = 0;
      for (let end = left.indexOf('\n'); end >= 0; end = left.indexOf('\n', start)) {
        this.#chain = statedChain(left.subarray(start, end)) ?? this.#chain;
        this.#lines++;
        start = end + 1;
      }
      this.#length += start;
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

  /** As if it had never been begun. */
  abandon(): void {
    this.#file.close();
    rmSync(this.path, { force: true });
  }

  /** Waits for the syncs under way, whose callers hear of their failures. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([this.#syncing, this.#nextSync]);
    this.#file.close();
  }
}

/** Opens a new segment of a directory. @throws what the file system says */
export function createSegment(
  dir: string,
  nowMs: number,
  header: string,
  create: (path: string) => SegmentFile,
): Segment {
  for (let startedMs = nowMs; ; startedMs++) {
    const path = join(dir, segmentName(startedMs, process.pid));
    try {
      return new Segment(path, nextMidnight(startedMs), header, create(path));
    } catch (error) {
      // Two segments within a millisecond, or a process of the same number before this one.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
