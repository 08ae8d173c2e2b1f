import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Boundary } from './checkpoint.ts';
import { CheckpointCopies } from './copies.ts';
import type { AuditLog } from './log.ts';
import type { CountedHead } from './segment.ts';
import { countLines, readHead } from './segment-end.ts';
import { listSegments } from './segment-name.ts';
import type { Statements } from './statements.ts';

export interface CheckpointsMeter {
  /** All that was written before is covered by one. */
  checkpointTaken(nowMs: number): void;
  /** One was due and could not be written. */
  checkpointFailed(): void;
  /** One could not be copied, and will be tried again. */
  checkpointCopyFailed(): void;
}

/** The processes that write segments, as one. */
export interface SegmentWriters {
  /** The segments that they have written to, each as it stands now in their memory. */
  heads(): Promise<readonly CountedHead[]>;
  /** These are no longer there, or need not be told of any more. */
  forget(segments: readonly string[]): void;
}

export interface CheckpointsOptions {
  readonly dir: string;
  readonly everyMs: number;
  readonly copyTo: string | undefined;
  readonly statements: Statements;
  readonly writers: SegmentWriters;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: AuditLog;
  readonly meter: CheckpointsMeter;
}

/** A directory that hangs must not keep the gateway from stopping. */
const LAST_COPIES_MS = 5_000;

/**
 * Says at intervals, signed, how far every segment goes. Those that are being written are taken from their writers' memory,
 * not from the disk: what somebody else has written there since is nothing that the gateway vouches for.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #copies: CheckpointCopies | undefined;
  readonly #timer: NodeJS.Timeout;
  /** What processes that are gone left, until it was said once. */
  #left: readonly Boundary[] | undefined;
  #looksAgain = false;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #takenMs: number | undefined;
  #failing = false;

  constructor(options: CheckpointsOptions) {
    const { everyMs, copyTo, log, meter } = options;
    this.#options = options;
    const failed = () => meter.checkpointCopyFailed();
    this.#copies =
      copyTo === undefined ? undefined : new CheckpointCopies({ dir: copyTo, log, failed });
    this.#timer = setInterval(() => void this.take(), everyMs).unref();
    // What a killed process wrote last is covered by nothing yet.
    void this.take();
  }

  /** Milliseconds since the epoch of the newest one. */
  get takenMs(): number | undefined {
    return this.#takenMs;
  }

  /**
   * Logs and counts its troubles itself; what is missing then is in the next. Whatever hangs gathers no attempts: all calls
   * while one is under way, which may have looked before, share the next.
   */
  take(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(() => this.#start());
    return this.#next;
  }

  /** Takes one that looks again at what is on disk of processes that are gone. */
  takeAgain(): Promise<void> {
    this.#looksAgain = true;
    return this.take();
  }

  #start(): Promise<void> {
    this.#next = undefined;
    this.#running = this.#take().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #take(): Promise<void> {
    const { statements, writers, now, log, meter } = this.#options;
    try {
      if (this.#looksAgain) this.#left = undefined;
      this.#looksAgain = false;
      const heads = await writers.heads();
      this.#left ??= await this.#readLeft(heads);
      const changed = [...this.#left, ...heads].filter(
        (head) => !isSame(head, statements.known(head.segment)),
      );
      if (changed.length > 0) {
        const copy = statements.append('checkpoint', changed);
        this.#takenMs = Date.parse(copy.time);
        this.#copies?.add(copy);
      }
      this.#left = [];
      writers.forget(heads.filter(({ closed }) => closed).map(({ segment }) => segment));
      if (this.#failing) log.info({}, 'checkpoints are written again');
      this.#failing = false;
      meter.checkpointTaken(now());
    } catch (error) {
      meter.checkpointFailed();
      if (!this.#failing) log.error({ err: error }, 'a checkpoint cannot be written');
      this.#failing = true;
    }
    await this.#copies?.flush();
  }

  /** To be called once the segments are closed: the last one. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const last = new AbortController();
    await Promise.race([
      this.take().finally(() => last.abort()),
      wait(LAST_COPIES_MS, undefined, { signal: last.signal }).catch(() => undefined),
    ]);
  }

  async #readLeft(heads: readonly CountedHead[]): Promise<readonly Boundary[]> {
    const { dir, statements } = this.#options;
    const own = new Set(heads.map(({ segment }) => segment));
    const left: Boundary[] = [];
    for (const segment of await listSegments(dir)) {
      const name = basename(segment.path);
      if (own.has(name) || statements.known(name)?.closed === true) continue;
      const head = await readHead(segment);
      left.push({ ...head, lines: await countLines(join(dir, name), head.length) });
    }
    return left;
  }
}

function isSame(head: CountedHead, known: Boundary | undefined): boolean {
  return known !== undefined && known.length === head.length && known.closed === head.closed;
}
