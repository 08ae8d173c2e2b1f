import type { KeyObject } from 'node:crypto';
import { inAuditDir } from './audit.ts';
import { Checkpoints, type CheckpointsMeter, type SegmentWriters } from './checkpoints.ts';
import type { AuditLog } from './log.ts';
import { expireSegments } from './retention.ts';
import { Statements } from './statements.ts';

export interface CustodyOptions {
  readonly dir: string;
  /** The gateway's name. */
  readonly gateway: string;
  /** Segments older than this are deleted. */
  readonly keepMs: number;
  readonly checkpoint:
    | { readonly everyMs: number; readonly key: KeyObject; readonly copyTo: string | undefined }
    | undefined;
  readonly writers: SegmentWriters;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: AuditLog;
  readonly meter: CheckpointsMeter;
}

const EXPIRY_INTERVAL_MS = 60 * 60 * 1000;

/**
 * Keeps the record of all processes of one gateway: says with checkpoints how far it goes, and deletes what is old.
 * One process has it; others only write.
 */
export class Custody {
  readonly #options: CustodyOptions;
  readonly #statements: Statements;
  readonly #expiry: NodeJS.Timeout;
  readonly #checkpoints: Checkpoints | undefined;

  private constructor(options: CustodyOptions, statements: Statements) {
    const { checkpoint, writers } = options;
    this.#options = options;
    this.#statements = statements;
    this.#expiry = setInterval(() => void this.#expireLater(), EXPIRY_INTERVAL_MS).unref();
    this.#checkpoints =
      checkpoint && new Checkpoints({ ...options, ...checkpoint, statements, writers });
  }

  /** @throws SekishoError `audit-unavailable` naming the directory */
  static open(options: CustodyOptions): Promise<Custody> {
    const { dir, gateway, checkpoint, now, log } = options;
    return inAuditDir(dir, async () => {
      const statements = await Statements.open({ dir, gateway, key: checkpoint?.key, now });
      await expireSegments(dir, now() - options.keepMs, statements, log);
      return new Custody(options, statements);
    });
  }

  /** Milliseconds since the epoch of the newest checkpoint; undefined: none so far, or none are made. */
  get checkpointedMs(): number | undefined {
    return this.#checkpoints?.takenMs;
  }

  /** A process is gone without having told where its segments end: that is read from the disk. */
  async writerLost(): Promise<void> {
    await this.#checkpoints?.takeAgain();
  }

  /** To be called once nothing writes any more. */
  async close(): Promise<void> {
    clearInterval(this.#expiry);
    await this.#checkpoints?.close();
  }

  async #expireLater(): Promise<void> {
    const { dir, keepMs, now, log, writers } = this.#options;
    try {
      writers.forget(await expireSegments(dir, now() - keepMs, this.#statements, log));
    } catch (error) {
      log.error({ err: error }, 'old audit segments cannot be deleted');
    }
  }
}
