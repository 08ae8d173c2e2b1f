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
  /** One was due and could not be written. */
  checkpointFailed(): void;
  /** One could not be copied, and will be tried again. */
  checkpointCopyFailed(): void;
}

export interface CheckpointsOptions {
  readonly dir: string;
  readonly everyMs: number;
  readonly copyTo: string | undefined;
  readonly statements: Statements;
  /** The segments of this process, each as it stands now. */
  readonly heads: () => readonly CountedHead[];
  readonly log: AuditLog;
  readonly meter: CheckpointsMeter;
}

/** A directory that hangs must not keep the gateway from stopping. */
const LAST_COPIES_MS = 5_000;

/**
 * Says at intervals, signed, how far every segment goes. This process's own are taken from memory, not from the disk:
 * what somebody else has written there since is nothing that the gateway vouches for.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #copies: CheckpointCopies | undefined;
  readonly #timer: NodeJS.Timeout;
  /** What earlier processes left, until it was said once. */
  #left: Promise<readonly Boundary[]> | undefined;
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

  /** Logs and counts its troubles itself; what is missing then is in the next. */
  async take(): Promise<void> {
    const { statements, heads, log, meter } = this.#options;
    try {
      this.#left ??= this.#readLeft();
      const left = await this.#left;
      const changed = [...left, ...heads()].filter(
        (head) => !isSame(head, statements.known(head.segment)),
      );
      if (changed.length > 0) {
        const copy = statements.append('checkpoint', changed);
        this.#copies?.add(copy);
      }
      this.#left = Promise.resolve([]);
      if (this.#failing) log.info({}, 'checkpoints are written again');
      this.#failing = false;
    } catch (error) {
      meter.checkpointFailed();
      this.#left = undefined;
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

  async #readLeft(): Promise<readonly Boundary[]> {
    const { dir, statements, heads } = this.#options;
    const own = new Set(heads().map(({ segment }) => segment));
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
