import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { chainAfter, findChain, statedChain } from './chain.ts';
import type { Findings, Mark } from './finding.ts';
import { LARGE_BLOCK_BYTES, readForward } from './lines.ts';
import { parseHeader, type SegmentHead } from './segment-header.ts';
import type { SegmentName } from './segment-name.ts';
import { linesOf, tornText } from './verify-statements.ts';

/** What somebody else than the segment says about how far it goes. */
export interface Claim extends SegmentHead {
  /** Unknown to the header of the next segment. */
  readonly lines?: number;
  /** null: the header of a segment says it. */
  readonly mark: Mark | null;
  /** `checkpoint 5 of …`, `the header of …`. */
  readonly by: string;
}

/** @param read is told of bytes as they are read @returns how many lines there are */
export async function verifySegment(
  { path, startedMs, pid }: SegmentName,
  claims: readonly Claim[],
  findings: Findings,
  read: (bytes: number) => void,
): Promise<number> {
  await using file = await open(path, 'r');
  const check = new SegmentCheck(basename(path), { startedMs, pid }, claims, findings);
  let whole = 0;
  for await (const { bytes, end } of readForward(file, 0, LARGE_BLOCK_BYTES)) {
    for (const line of linesOf(bytes)) check.line(line);
    read(end - whole);
    whole = end;
  }
  check.end((await file.stat()).size - whole);
  return check.lines;
}

const NOT_FOLLOWING =
  'the line does not follow from the one before: it was changed, or lines were removed, inserted or moved here';

class SegmentCheck {
  readonly #name: string;
  readonly #named: Pick<SegmentName, 'startedMs' | 'pid'>;
  readonly #findings: Findings;
  /** Not met so far, by length. */
  #open: readonly Claim[];
  #lastMet: Mark | null = null;
  #closedBy: Claim | undefined;
  /** Values that the next line may have been chained to; the first is the one that it should be. */
  #previous: readonly (string | null)[] = [null];
  #lastWhole: string | null = null;
  #offset = 0;
  #faulty = false;
  lines = 0;

  constructor(
    name: string,
    named: Pick<SegmentName, 'startedMs' | 'pid'>,
    claims: readonly Claim[],
    findings: Findings,
  ) {
    this.#name = name;
    this.#named = named;
    this.#findings = findings;
    this.#open = claims.filter(({ chain }) => chain !== null).sort((a, b) => a.length - b.length);
    this.#closedBy = claims.find(({ chain, closed }) => chain === null && closed);
  }

  /** The next line, without its newline. */
  line(line: Buffer): void {
    this.lines++;
    this.#offset += line.length + 1;
    if (this.#closedBy !== undefined)
      this.#problem(
        `lines were added after the segment was closed: ${this.#closedBy.by} has it end before`,
      );
    this.#closedBy = undefined;
    const stated = statedChain(line);
    this.#checkChain(line, stated);
    if (this.lines === 1 && !this.#faulty) this.#checkHeader(line);
    if (stated !== undefined) this.#meet(stated);
  }

  #checkChain(line: Buffer, stated: string | undefined): void {
    const fits = (previous: string | null) => chainAfter(previous, line) === stated;
    if (stated !== undefined && this.#previous.some(fits)) {
      this.#previous = [stated];
      this.#lastWhole = stated;
      return;
    }
    this.#problem(
      stated === undefined
        ? 'the line does not end with its chain value: it was changed, or is none of the gateway'
        : NOT_FOLLOWING,
    );
    // The next line may be as it was: behind this one as it stands, as it stood with another value, or without it.
    const [expected = null] = this.#previous;
    const candidates = [stated ?? findChain(line), chainAfter(expected, line), this.#lastWhole];
    this.#previous = candidates.filter((value) => value !== undefined);
  }

  #checkHeader(line: Buffer): void {
    const header = parseHeader(line);
    if (header === undefined) return this.#problem('the segment does not begin with its header');
    const { startedMs, pid } = this.#named;
    // Two segments of a millisecond move on by one.
    const fits = header.worker.pid === pid && Math.abs(Date.parse(header.time) - startedMs) < 1000;
    if (!fits)
      this.#problem('the header is that of another segment: the file was renamed or copied');
  }

  #meet(stated: string): void {
    const met = this.#open.filter(
      ({ chain, length }) => chain === stated && (this.#faulty || length === this.#offset),
    );
    if (met.length === 0) return;
    this.#open = this.#open.filter((claim) => !met.includes(claim));
    for (const { mark } of met) this.#lastMet = mark ?? this.#lastMet;
    this.#closedBy = met.find(({ closed }) => closed);
  }

  /** @param torn how many bytes stand behind the last whole line */
  end(torn: number): void {
    const [first] = this.#open;
    const newest = this.#open.at(-1);
    if (first !== undefined && newest !== undefined) {
      if (this.#faulty)
        this.#problem(
          `from here on it does not come to where ${newest.by} has it: its end was cut or replaced`,
        );
      else if (this.#offset < first.length)
        this.#problem(
          `the segment ends here, and ${first.by} has it go on${linesText(first)}: its end was cut`,
        );
      else
        this.#problem(
          `the lines are not those that ${first.by} has: they were replaced${first.lines === undefined ? '' : `, up to line ${first.lines}`}, and the chain computed anew`,
        );
    }
    if (torn > 0) this.#findings.note(this.#name, this.lines + 1, tornText(torn));
    else if (this.lines === 0)
      this.#findings.note(this.#name, null, 'the segment is empty: nothing could be written to it');
  }

  #problem(what: string): void {
    this.#faulty = true;
    const next = this.#open.find(({ mark }) => mark !== null);
    this.#findings.problem(this.#name, this.lines, what, this.#lastMet, next?.mark ?? null);
  }
}

function linesText({ lines }: Claim): string {
  return lines === undefined ? '' : ` to line ${lines}`;
}
