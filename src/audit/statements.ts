import type { KeyObject } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  type Boundary,
  parseStatement,
  type Statement,
  statementHash,
  statementLine,
} from './checkpoint.ts';
import { readForward } from './lines.ts';
import { listSegments } from './segment-name.ts';

export const STATEMENTS_FILE = 'checkpoints.jsonl';

export interface StatementsOptions {
  readonly dir: string;
  readonly gateway: string;
  readonly key: KeyObject | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The file of checkpoints and expiries, to which one process appends. */
export class Statements {
  readonly #options: StatementsOptions;
  /** What was last said of each segment that is there. */
  readonly #known = new Map<string, Boundary>();
  readonly #expired = new Set<string>();
  #number = 0;
  #previous: string | null = null;
  #length = 0;

  private constructor(options: StatementsOptions) {
    this.#options = options;
  }

  /** Takes up where the last process ended; what that one left of a torn line is removed. */
  static async open(options: StatementsOptions): Promise<Statements> {
    const statements = new Statements(options);
    await statements.#load();
    return statements;
  }

  known(segment: string): Boundary | undefined {
    return this.#known.get(segment);
  }

  /** Its expiry is on record. */
  isExpired(segment: string): boolean {
    return this.#expired.has(segment);
  }

  /** The segment is no longer there. */
  forget(segment: string): void {
    this.#known.delete(segment);
    this.#expired.delete(segment);
  }

  /** @returns the line, and its statement @throws what the file system says; then nothing was said */
  append(type: Statement['type'], segments: readonly Boundary[]) {
    const { gateway, key, now } = this.#options;
    const number = this.#number + 1;
    const time = new Date(now()).toISOString();
    const line = statementLine(
      { type, number, time, gateway, segments, previous: this.#previous },
      key,
    );
    this.#write(Buffer.from(`${line}\n`));
    this.#take(type, segments);
    this.#number = number;
    this.#previous = statementHash(line);
    return { line, number, time };
  }

  #write(bytes: Buffer): void {
    const fd = openSync(this.#path, 'a', 0o600);
    try {
      if (writeSync(fd, bytes) < bytes.length) throw new Error('the file takes no more bytes');
      this.#length += bytes.length;
    } catch (error) {
      ftruncateSync(fd, this.#length);
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  #take(type: Statement['type'], segments: readonly Boundary[]): void {
    for (const boundary of segments) {
      this.#known.set(boundary.segment, boundary);
      if (type === 'expired') this.#expired.add(boundary.segment);
    }
  }

  async #load(): Promise<void> {
    await using file = await openExisting(this.#path);
    if (file === undefined) return;
    for await (const { bytes, end } of readForward(file, 0)) {
      let start = 0;
      for (let at = bytes.indexOf('\n'); at >= 0; at = bytes.indexOf('\n', start)) {
        this.#adopt(bytes.subarray(start, at));
        start = at + 1;
      }
      this.#length = end;
    }
    if ((await file.stat()).size > this.#length) await file.truncate(this.#length);
    const there = new Set(
      (await listSegments(this.#options.dir)).map(({ path }) => basename(path)),
    );
    for (const segment of this.#known.keys()) if (!there.has(segment)) this.forget(segment);
  }

  /** A damaged line is for `verify` to tell; here the chain goes on behind it. */
  #adopt(line: Buffer): void {
    const statement = parseStatement(line);
    this.#previous = statementHash(line);
    this.#number = statement?.number ?? this.#number + 1;
    if (statement !== undefined) this.#take(statement.type, statement.segments);
  }

  get #path(): string {
    return join(this.#options.dir, STATEMENTS_FILE);
  }
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
