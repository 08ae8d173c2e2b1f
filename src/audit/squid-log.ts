import { type FileHandle, open, stat } from 'node:fs/promises';
import { SekishoError } from '../core/errors.ts';
import type { AuditEvent } from './event.ts';
import type { AuditLog } from './log.ts';
import { squidLine } from './squid-line.ts';

export interface SquidLogOptions {
  readonly path: string;
  readonly log: AuditLog;
  /** Lines that did not get into the file. */
  readonly lost: (lines: number) => void;
}

/** Waiting for the disk; beyond it lines are lost, since the record has them in any case. */
const MOST_WAITING = 20_000;
const LOOK_MS = 1_000;

/**
 * A second log beside the record, for tools that read Squid's. It is no part of the record: nothing waits for it. When its
 * file is moved away or removed, it goes on in a new one.
 */
export class SquidLog {
  readonly #options: SquidLogOptions;
  readonly #look: NodeJS.Timeout;
  #file: FileHandle;
  #waiting: string[] = [];
  #running: Promise<void> | undefined;
  #reopens = false;
  #failing = false;

  private constructor(options: SquidLogOptions, file: FileHandle) {
    this.#options = options;
    this.#file = file;
    this.#look = setInterval(() => void this.#findRotated(), LOOK_MS).unref();
  }

  /** @throws SekishoError `squid-log-unavailable` */
  static async open(options: SquidLogOptions): Promise<SquidLog> {
    const { path } = options;
    try {
      return new SquidLog(options, await openLog(path));
    } catch (error) {
      const { message } = error as Error;
      const remedy = 'make it a file that this user may write, or change audit.also';
      const text = `the log ${path} cannot be written: ${message}; ${remedy}`;
      throw new SekishoError('squid-log-unavailable', text, { cause: error });
    }
  }

  /** Takes outcomes; other events have no line in Squid's log. */
  add(event: AuditEvent): void {
    if (event.type !== 'outcome') return;
    if (this.#waiting.length >= MOST_WAITING) return this.#lose(1);
    this.#waiting.push(squidLine(event));
    void this.#run();
  }

  /** Goes on in the file that now has the name. Resolves once it does. */
  reopen(): Promise<void> {
    this.#reopens = true;
    return this.#run();
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    clearInterval(this.#look);
    await this.#run();
    await this.#file.close();
  }

  #run(): Promise<void> {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #work(): Promise<void> {
    // What comes within one turn is written at once.
    await new Promise(setImmediate);
    while (this.#reopens || this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        if (this.#reopens) await this.#openAgain();
        await this.#file.appendFile(lines.join(''));
        if (this.#failing)
          this.#options.log.info({ path: this.#options.path }, 'the log is written again');
        this.#failing = false;
      } catch (error) {
        this.#fail(error);
        this.#lose(lines.length);
      }
    }
  }

  async #openAgain(): Promise<void> {
    this.#reopens = false;
    const old = this.#file;
    this.#file = await openLog(this.#options.path);
    await old.close();
  }

  async #findRotated(): Promise<void> {
    try {
      const [open, named] = await Promise.all([
        this.#file.stat(),
        stat(this.#options.path).catch(() => undefined),
      ]);
      if (named?.ino !== open.ino || named.dev !== open.dev) await this.reopen();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const { log, path } = this.#options;
    if (!this.#failing) log.error({ err: error, path }, 'the log cannot be written');
    this.#failing = true;
  }

  #lose(lines: number): void {
    this.#options.lost(lines);
  }
}

function openLog(path: string): Promise<FileHandle> {
  return open(path, 'a', 0o640);
}
