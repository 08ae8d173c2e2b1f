import { mkdir } from 'node:fs/promises';
import { SekishoError } from '../core/errors.ts';
import { Refusal } from '../core/refusal.ts';
import type { AuditLog } from './log.ts';
import { expireSegments } from './retention.ts';
import {
  createFile,
  createSegment,
  type Segment,
  type SegmentFile,
  syncDirectory,
} from './segment.ts';

export interface AuditWriter {
  /**
   * Resolves once the line is with the operating system, or on disk under `fsync`. All lines of one turn of the event
   * loop share one write and one promise. The writer logs and counts what it cannot write, so that a line which nobody
   * waits for needs no handler.
   *
   * @param line whole, with its newline
   * @throws Refusal `audit-unavailable` when it could not be written; the next line is tried afresh
   */
  write(line: string): Promise<void>;
  /** Writes what is left and closes. */
  close(): Promise<void>;
}

export interface AuditMeter {
  linesWritten(count: number): void;
  linesLost(count: number): void;
}

export interface AuditOptions {
  /** Created, for this process's user only, where it is missing. */
  readonly dir: string;
  /** `write`: a line survives a killed process. `fsync`: it survives power loss. */
  readonly durability: 'write' | 'fsync';
  /** Segments older than this are deleted. */
  readonly keepMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: AuditLog;
  readonly meter: AuditMeter;
  /** Another way to make a segment's file. */
  readonly create?: (path: string) => SegmentFile;
}

/** Above this a segment is closed and the next one opened. */
const SEGMENT_BYTES = 256 * 1024 * 1024;
/** Lines waiting for the end of the turn: above this they are written at once. */
const GATHERED_CHARACTERS = 4 * 1024 * 1024;
const EXPIRY_INTERVAL_MS = 60 * 60 * 1000;

/** @throws SekishoError `audit-unavailable` naming the directory, when a segment cannot be created there */
export async function openAudit(options: AuditOptions): Promise<AuditWriter> {
  const { dir } = options;
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const writer = new SegmentWriter(options);
    await writer.expire();
    return writer;
  } catch (error) {
    const { message } = error as Error;
    throw new SekishoError(
      'audit-unavailable',
      `the audit record cannot be written in ${dir}: ${message}; make it a directory that this user may write, or set gateway.dataDir`,
      { cause: error },
    );
  }
}

/** The lines of one turn. */
interface Batch {
  text: string[];
  characters: number;
  readonly done: PromiseWithResolvers<void>;
}

class SegmentWriter implements AuditWriter {
  readonly #options: AuditOptions;
  readonly #create: (path: string) => SegmentFile;
  readonly #expiry: NodeJS.Timeout;
  readonly #flushLater = () => this.#flush();
  #segment: Segment;
  /** A failed sync leaves pages that count as written and are not: nothing may be appended behind them. */
  #abandoned = false;
  #retired: Promise<void> = Promise.resolve();
  #batch: Batch | undefined;
  #lost = 0;
  #closed = false;

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#create = options.create ?? createFile;
    this.#segment = this.#open();
    this.#expiry = setInterval(() => {
      this.expire().catch((error: unknown) =>
        options.log.error({ err: error }, 'old audit segments cannot be deleted'),
      );
    }, EXPIRY_INTERVAL_MS).unref();
  }

  write(line: string): Promise<void> {
    if (this.#closed) throw new TypeError('the audit record is closed');
    if (this.#batch === undefined) {
      this.#batch = { text: [], characters: 0, done: Promise.withResolvers() };
      setImmediate(this.#flushLater);
    }
    const batch = this.#batch;
    batch.text.push(line);
    batch.characters += line.length;
    if (batch.characters > GATHERED_CHARACTERS) this.#flush();
    return batch.done.promise;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    clearInterval(this.#expiry);
    await Promise.all([this.#retired, this.#segment.close()]);
  }

  async expire(): Promise<void> {
    const { dir, keepMs, now, log } = this.#options;
    await expireSegments(dir, now() - keepMs, log);
  }

  #flush(): void {
    const batch = this.#batch;
    // Already written, because it had grown too large to wait.
    if (batch === undefined) return;
    this.#batch = undefined;
    try {
      this.#rotate();
      this.#segment.append(Buffer.from(batch.text.join('')));
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
    meter.linesWritten(batch.text.length);
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
    meter.linesLost(batch.text.length);
    // Told above; whether an exchange goes on without its line is for the exchange to say.
    batch.done.promise.catch(() => undefined);
    batch.done.reject(unavailable());
  }

  #rotate(): void {
    const { size, endsMs } = this.#segment;
    if (!this.#abandoned && size < SEGMENT_BYTES && this.#options.now() < endsMs) return;
    const old = this.#segment;
    this.#segment = this.#open();
    this.#abandoned = false;
    const closed = old.close().catch((error: unknown) => {
      this.#options.log.error({ err: error, segment: old.path }, 'an audit segment did not close');
    });
    this.#retired = Promise.all([this.#retired, closed]).then(() => undefined);
  }

  #open(): Segment {
    const { dir, durability, now } = this.#options;
    const segment = createSegment(dir, now(), this.#create);
    if (durability === 'fsync') syncDirectory(dir);
    return segment;
  }
}

// The sentence reaches clients: it names no path and no error of the system.
function unavailable(): Refusal {
  return new Refusal('audit-unavailable', 'the audit record of this gateway cannot be written');
}
