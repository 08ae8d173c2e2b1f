import { Bag } from '../core/bag.ts';
import { Refusal } from '../core/refusal.ts';
import type { AuditLog } from './log.ts';
import {
  type CountedHead,
  createSegment,
  type Segment,
  type SegmentFile,
  syncDirectory,
} from './segment.ts';
import { headerLine, type SegmentHead } from './segment-header.ts';

export interface AuditWriter {
  /**
   * Resolves once the line is with the operating system, or on disk under `fsync`. All lines of one turn of the event
   * loop share one write and one promise. The writer logs and counts what it cannot write, so that a line which nobody
   * waits for needs no handler.
   *
   * @param line a JSON object with its newline; the chain is added to it
   * @throws Refusal `audit-unavailable` when it could not be written; the next line is tried afresh
   */
  write(line: string): Promise<void>;
  /** The policy that is in force from now on. */
  adopt(policy: string): void;
  /** Writes what is left and closes. */
  close(): Promise<void>;
}

export interface WriterMeter {
  /** @param waitedMs how long the first of them waited */
  linesWritten(count: number, waitedMs: number): void;
  linesLost(count: number): void;
}

export interface WriterOptions {
  readonly dir: string;
  /** The gateway's name. */
  readonly gateway: string;
  /** Of this process, whatever its number. */
  readonly worker: string;
  /** The digest of the policy in force. */
  readonly policy: string;
  /** `write`: a line survives a killed process. `fsync`: it survives power loss. */
  readonly durability: 'write' | 'fsync';
  /** The newest segment that was there before; null: none. */
  readonly after: SegmentHead | null;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. Default: this process's. */
  readonly elapsed?: () => number;
  readonly log: AuditLog;
  readonly meter: WriterMeter;
  readonly create: (path: string) => SegmentFile;
}

/** Above this a segment is closed and the next one opened. */
const SEGMENT_BYTES = 256 * 1024 * 1024;
/** Lines waiting for the end of the turn: above this they are written at once. */
const GATHERED_CHARACTERS = 4 * 1024 * 1024;

/** The lines of one turn. */
interface Batch {
  text: string[];
  characters: number;
  readonly began: number;
  readonly done: PromiseWithResolvers<void>;
  /** Among those that wait. */
  place: number;
}

/** Writes one process's lines, segment after segment. */
export class SegmentWriter implements AuditWriter {
  readonly #options: WriterOptions;
  readonly #elapsed: () => number;
  readonly #flushLater = () => this.#flush();
  #policy: string;
  #segment: Segment;
  readonly #retired = new Map<string, CountedHead>();
  /** A failed sync leaves pages that count as written and are not: nothing may be appended behind them. */
  #abandoned = false;
  #closing: Promise<void> = Promise.resolve();
  #batch: Batch | undefined;
  /** Batches that are not written yet, or not synced. */
  readonly #waiting = new Bag<Batch>();
  #lost = 0;
  #closed = false;

  /** @throws what the file system says when no segment can be begun */
  constructor(options: WriterOptions) {
    this.#options = options;
    this.#elapsed = options.elapsed ?? (() => performance.now());
    this.#policy = options.policy;
    this.#segment = this.#open(options.after);
    this.#segment.append([]);
  }

  /** The segments that this process has written to, each as it stands now. */
  get heads(): readonly CountedHead[] {
    return [...this.#retired.values(), this.#segment.head];
  }

  /** They are no longer there, or need not be told of any more. The one that is being written is not forgotten. */
  forget(segments: readonly string[]): void {
    for (const segment of segments) this.#retired.delete(segment);
  }

  /** What is not written yet, or not synced. */
  get waiting(): { lines: number; characters: number } {
    const sum = { lines: 0, characters: 0 };
    for (const { text, characters } of this.#waiting) {
      sum.lines += text.length;
      sum.characters += characters;
    }
    return sum;
  }

  write(line: string): Promise<void> {
    if (this.#closed) throw new TypeError('the audit record is closed');
    const batch = this.#batch ?? this.#begin();
    batch.text.push(line);
    batch.characters += line.length;
    if (batch.characters > GATHERED_CHARACTERS) this.#flush();
    return batch.done.promise;
  }

  #begin(): Batch {
    const began = this.#elapsed();
    const done = Promise.withResolvers<void>();
    const batch: Batch = { text: [], characters: 0, began, done, place: 0 };
    batch.place = this.#waiting.add(batch);
    this.#batch = batch;
    setImmediate(this.#flushLater);
    return batch;
  }

  adopt(policy: string): void {
    this.#policy = policy;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    await Promise.all([this.#closing, this.#segment.close()]);
  }

  #flush(): void {
    const batch = this.#batch;
    // Already written, because it had grown too large to wait.
    if (batch === undefined) return;
    this.#batch = undefined;
    try {
      this.#rotate();
      this.#segment.append(batch.text);
    } catch (error) {
      return this.#fail(batch, error);
    }
    if (this.#options.durability === 'write') return this.#succeed(batch);
    const segment = this.#segment;
    segment.sync().then(
      () => this.#succeed(batch),
      (error: unknown) => {
        if (segment === this.#segment) this.#abandoned = true;
        this.#fail(batch, error);
      },
    );
  }

  #succeed(batch: Batch): void {
    const { log, meter } = this.#options;
    if (this.#lost > 0) {
      log.info({ lost: this.#lost }, 'the audit record can be written again');
      this.#lost = 0;
    }
    this.#waiting.delete(batch.place);
    meter.linesWritten(batch.text.length, this.#elapsed() - batch.began);
    batch.done.resolve();
  }

  /** Logged when it begins, counted while it lasts: the disk that is full may be the log's as well. */
  #fail(batch: Batch, error: unknown): void {
    const { log, meter } = this.#options;
    if (this.#lost === 0) {
      const { path } = this.#segment;
      log.error({ err: error, segment: path }, 'the audit record cannot be written');
    }
    this.#lost += batch.text.length;
    this.#waiting.delete(batch.place);
    meter.linesLost(batch.text.length);
    // Told above; whether an exchange goes on without its line is for the exchange to say.
    batch.done.promise.catch(() => undefined);
    batch.done.reject(unavailable());
  }

  #rotate(): void {
    const { size, endsMs, torn } = this.#segment;
    const fits = size < SEGMENT_BYTES && this.#options.now() < endsMs;
    if (fits && !torn && !this.#abandoned) return;
    const old = this.#segment;
    const { lines, ...head } = old.head;
    this.#segment = this.#open({ ...head, closed: true });
    this.#abandoned = false;
    const closed = old.close().catch((error: unknown) => {
      this.#options.log.error({ err: error, segment: old.path }, 'an audit segment did not close');
    });
    this.#retired.set(head.segment, old.head);
    this.#closing = Promise.all([this.#closing, closed]).then(() => undefined);
  }

  #open(after: SegmentHead | null): Segment {
    const { dir, gateway, worker, durability, now, create } = this.#options;
    const nowMs = now();
    const header = headerLine({
      type: 'segment',
      time: new Date(nowMs).toISOString(),
      gateway,
      format: 1,
      worker: { pid: process.pid, id: worker },
      policy: this.#policy,
      after,
    });
    const segment = createSegment(dir, nowMs, header, create);
    try {
      if (durability === 'fsync') syncDirectory(dir);
      return segment;
    } catch (error) {
      // Or every line that is tried would leave an empty file open.
      segment.abandon();
      throw error;
    }
  }
}

// The sentence reaches clients: it names no path and no error of the system.
function unavailable(): Refusal {
  return new Refusal('audit-unavailable', 'the audit record of this gateway cannot be written');
}
