import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditLog } from './log.ts';
import { syncDirectory } from './segment.ts';

export interface Copy {
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly line: string;
}

export interface CopiesOptions {
  /** A directory that somebody else owns. */
  readonly dir: string;
  readonly log: AuditLog;
  /** A copy could not be made, and will be tried again. */
  readonly failed: () => void;
}

/** Each vouches for those before it, so the oldest is the one to go. */
const MOST_WAITING = 60;

/** Brings checkpoints to where this gateway cannot rewrite them: each a new file, none ever opened again. */
export class CheckpointCopies {
  readonly #options: CopiesOptions;
  #waiting: (Copy & { attempts: number })[] = [];
  #running: Promise<void> | undefined;
  #failing = false;

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** To be made with the next `flush`. */
  add(copy: Copy): void {
    this.#waiting.push({ ...copy, attempts: 0 });
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
  }

  /** Tries what waits, oldest first, up to the first that fails. Logs its troubles itself. */
  flush(): Promise<void> {
    // A file system that hangs must not gather attempts.
    this.#running ??= this.#makeAll().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #makeAll(): Promise<void> {
    const { dir, log, failed } = this.#options;
    for (let copy = this.#waiting[0]; copy !== undefined; copy = this.#waiting[0]) {
      try {
        copy.attempts++;
        await writeNew(dir, fileName(copy), `${copy.line}\n`);
      } catch (error) {
        failed();
        if (!this.#failing) log.error({ err: error, dir }, 'checkpoints cannot be copied');
        this.#failing = true;
        return;
      }
      this.#waiting = this.#waiting.filter((waiting) => waiting !== copy);
    }
    if (this.#failing) log.info({ dir }, 'checkpoints are copied again');
    this.#failing = false;
  }
}

/** `20261123T051000.123Z-42.json`. What a failed attempt left keeps its name: the directory may not let it be removed. */
function fileName({ time, number, attempts }: Copy & { attempts: number }): string {
  const again = attempts === 1 ? '' : `.${attempts}`;
  return `${time.replace(/[-:]/g, '')}-${number}${again}.json`;
}

async function writeNew(dir: string, name: string, text: string): Promise<void> {
  await using file = await open(join(dir, name), 'ax', 0o644);
  await file.writeFile(text);
  await file.sync();
  syncDirectory(dir);
}
