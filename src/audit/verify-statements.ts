import type { KeyObject } from 'node:crypto';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Boundary,
  isSigned,
  keyText,
  parseStatement,
  type Statement,
  statementHash,
} from './checkpoint.ts';
import type { Findings, Mark } from './finding.ts';
import { readForward } from './lines.ts';
import { STATEMENTS_FILE } from './statements.ts';

/** What a checkpoint says of a segment. */
export type StatedBoundary = Boundary & { readonly mark: Mark };

/** What the statements and their copies say together, as far as they can be believed. */
export class Proof {
  /** By segment, in order. */
  readonly boundaries = new Map<string, StatedBoundary[]>();
  readonly expired = new Map<string, Boundary>();
  /** All keys that signed. */
  readonly keys = new Set<string>();
  count = 0;
  /** The newest checkpoint. */
  last: Mark | null = null;

  add({ type, number, time, segments }: Statement): void {
    this.count++;
    const mark = { number, time };
    if (type === 'checkpoint' && number > (this.last?.number ?? 0)) this.last = mark;
    for (const boundary of segments) {
      const { segment } = boundary;
      if (type === 'expired') this.expired.set(segment, boundary);
      const stated = this.boundaries.get(segment) ?? [];
      this.boundaries.set(segment, stated);
      stated.push({ ...boundary, mark });
    }
  }
}

/**
 * Checks `checkpoints.jsonl` line by line, and holds it against copies.
 *
 * @param anchors a copy, or a folder of copies
 * @param keys public keys that may have signed; none: whatever key the statements name
 */
export async function verifyStatements(
  dir: string,
  anchors: string | undefined,
  keys: readonly KeyObject[],
  findings: Findings,
): Promise<Proof> {
  const proof = new Proof();
  const check = new StatementsCheck(proof, new Set(keys.map(keyText)), findings);
  await check.readOwn(dir);
  if (anchors !== undefined)
    for (const path of await listCopies(anchors)) await check.readCopy(path);
  check.endCopies();
  return proof;
}

class StatementsCheck {
  readonly #proof: Proof;
  readonly #allowed: ReadonlySet<string>;
  readonly #findings: Findings;
  /** The hash of every line, by number. */
  readonly #hashes = new Map<number, string>();
  #last: Mark | null = null;
  #differing = 0;
  #newestCopy: (Mark & { path: string }) | undefined;

  constructor(proof: Proof, allowed: ReadonlySet<string>, findings: Findings) {
    this.#proof = proof;
    this.#allowed = allowed;
    this.#findings = findings;
  }

  async readOwn(dir: string): Promise<void> {
    const path = join(dir, STATEMENTS_FILE);
    if ((await stat(path).catch(() => undefined)) === undefined) return;
    await using file = await open(path, 'r');
    const state = { line: 0, hash: null as string | null, doubtful: false };
    let whole = 0;
    for await (const { bytes, end } of readForward(file, 0)) {
      for (const line of linesOf(bytes)) this.#own(line, state);
      whole = end;
    }
    const torn = (await file.stat()).size - whole;
    if (torn > 0) this.#findings.note(STATEMENTS_FILE, state.line + 1, tornText(torn));
  }

  #own(bytes: Buffer, state: { line: number; hash: string | null; doubtful: boolean }): void {
    state.line++;
    const statement = parseStatement(bytes);
    const fault =
      statement === undefined ? 'this is no checkpoint' : this.#faultOf(bytes, statement);
    const follows =
      statement?.previous === state.hash && statement?.number === (this.#last?.number ?? 0) + 1;
    const [before, what] = [
      this.#last,
      fault ??
        'it does not follow from the checkpoint before: one was changed, removed, inserted or moved',
    ];
    // A line behind a damaged one cannot follow from it.
    if (fault !== undefined || (!follows && !state.doubtful)) {
      this.#findings.problem(STATEMENTS_FILE, state.line, what, before);
    }
    state.doubtful = fault !== undefined;
    state.hash = statementHash(bytes);
    if (statement === undefined) return;
    this.#last = { number: statement.number, time: statement.time };
    this.#hashes.set(statement.number, state.hash);
    if (fault === undefined) this.#proof.add(statement);
  }

  #faultOf(bytes: Buffer, statement: Statement): string | undefined {
    const { key } = statement;
    if (key === null) {
      // An expiry has no signature where no key was ever configured.
      const signs = this.#allowed.size > 0 || this.#proof.keys.size > 0;
      const expected = signs || statement.type === 'checkpoint';
      return expected ? 'it is not signed' : undefined;
    }
    if (!isSigned(bytes, statement)) return 'its signature does not hold: it was changed';
    if (this.#allowed.size > 0 && !this.#allowed.has(key)) return 'it is signed with another key';
    this.#proof.keys.add(key);
    return undefined;
  }

  async readCopy(path: string): Promise<void> {
    const text = await readFile(path);
    const whole = text.lastIndexOf('\n') + 1;
    if (whole < text.length || whole === 0) {
      this.#findings.note(path, null, 'the copy is not whole: its writing was cut short');
    }
    for (const line of linesOf(text.subarray(0, whole))) this.#copy(path, line);
  }

  #copy(path: string, bytes: Buffer): void {
    const statement = parseStatement(bytes);
    if (statement === undefined) return this.#findings.problem(path, null, 'this is no checkpoint');
    const fault = this.#faultOf(bytes, statement);
    if (fault !== undefined) return this.#findings.problem(path, null, fault);
    const { number, time } = statement;
    if (number > (this.#newestCopy?.number ?? 0)) this.#newestCopy = { number, time, path };
    const own = this.#hashes.get(number);
    if (own === statementHash(bytes)) return;
    this.#proof.add(statement);
    // Beyond the last one is told at the end, once.
    if (own === undefined && number > (this.#last?.number ?? 0)) return;
    if (this.#differing++ > 0) return;
    const what = `checkpoint ${number} of ${time} is not what its copy ${path} says: it was changed`;
    this.#findings.problem(STATEMENTS_FILE, number, what);
  }

  endCopies(): void {
    const [last, newest] = [this.#last, this.#newestCopy];
    if (newest === undefined || newest.number <= (last?.number ?? 0)) return;
    const own = last === null ? 'there is no checkpoint' : `it ends with checkpoint ${last.number}`;
    const what = `${own}, and there is a copy of checkpoint ${newest.number}: its end was cut (${newest.path})`;
    this.#findings.problem(STATEMENTS_FILE, null, what, last, newest);
  }
}

export function tornText(bytes: number): string {
  return `a torn line of ${bytes} bytes at the end: its writing was cut short, and nothing was acted upon by it`;
}

export function* linesOf(bytes: Buffer): Generator<Buffer> {
  let start = 0;
  for (let end = bytes.indexOf('\n'); end >= 0; end = bytes.indexOf('\n', start)) {
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

async function listCopies(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(path, name));
}
