import type { KeyObject } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Findings, type Mark, type Note, type Problem } from './finding.ts';
import { readForward } from './lines.ts';
import { parseHeader, type SegmentHeader } from './segment-header.ts';
import { listSegments, type SegmentName } from './segment-name.ts';
import { type Claim, verifySegment } from './verify-segment.ts';
import { linesOf, type Proof, verifyStatements } from './verify-statements.ts';

export interface VerifyOptions {
  readonly dir: string;
  /** A copy of a checkpoint, or a folder of copies. */
  readonly anchors: string | undefined;
  /** Public keys that may have signed; none: whatever key the checkpoints name. */
  readonly keys: readonly KeyObject[];
  readonly progress: (done: number, total: number) => void;
}

export interface Verification {
  readonly ok: boolean;
  readonly segments: number;
  readonly lines: number;
  readonly bytes: number;
  readonly checkpoints: number;
  /** What was written before it is proved. */
  readonly lastCheckpoint: Mark | null;
  readonly problems: readonly Problem[];
  /** Problems beyond those that are listed. */
  readonly unlisted: number;
  readonly notes: readonly Note[];
}

/**
 * Reads a whole record and tells whether it is as the gateway left it. It may run beside a gateway that goes on writing.
 *
 * @throws what the file system says of a file that cannot be read
 */
export async function verifyAudit({
  dir,
  anchors,
  keys,
  progress,
}: VerifyOptions): Promise<Verification> {
  const findings = new Findings();
  // Before the segments are listed: what it claims was there by then.
  const proof = await verifyStatements(dir, anchors, keys, findings);
  const segments = await listSegments(dir);
  const headers = new Map<string, SegmentHeader | undefined>();
  for (const { path } of segments) headers.set(basename(path), await readHeader(path));
  const claims = gatherClaims(proof, headers);
  findMissing(claims, headers, proof, findings);
  findUnknown(headers, proof, findings);
  const sizes = await Promise.all(segments.map(({ path }) => stat(path)));
  const bytes = sizes.reduce((sum, { size }) => sum + size, 0);
  const lines = await verifySegments(segments, claims, findings, (done) => progress(done, bytes));
  noteLimits(proof, keys, findings);
  const { problems, unlisted, notes } = findings;
  return {
    ok: problems.length === 0,
    segments: segments.length,
    lines,
    bytes,
    checkpoints: proof.count,
    lastCheckpoint: proof.last,
    problems,
    unlisted,
    notes,
  };
}

async function verifySegments(
  segments: readonly SegmentName[],
  claims: ReadonlyMap<string, readonly Claim[]>,
  findings: Findings,
  progress: (done: number) => void,
): Promise<number> {
  let [lines, done] = [0, 0];
  for (const segment of segments) {
    const own = claims.get(basename(segment.path)) ?? [];
    lines += await verifySegment(segment, own, findings, (read) => {
      done += read;
      progress(done);
    });
  }
  return lines;
}

async function readHeader(path: string): Promise<SegmentHeader | undefined> {
  await using file = await open(path, 'r');
  for await (const { bytes } of readForward(file, 0)) {
    for (const line of linesOf(bytes)) return parseHeader(line);
  }
  return undefined;
}

/** What checkpoints and the headers of later segments say of each segment. */
function gatherClaims(
  { boundaries }: Proof,
  headers: ReadonlyMap<string, SegmentHeader | undefined>,
): Map<string, Claim[]> {
  const claims = new Map<string, Claim[]>();
  for (const [segment, stated] of boundaries) {
    claims.set(
      segment,
      stated.map((boundary) => ({ ...boundary, by: markText(boundary.mark) })),
    );
  }
  for (const [name, header] of headers) {
    const after = header?.after;
    if (after === undefined || after === null) continue;
    const known = claims.get(after.segment) ?? [];
    claims.set(after.segment, known);
    known.push({ ...after, mark: null, by: `the header of ${name}` });
  }
  return claims;
}

function findMissing(
  claims: ReadonlyMap<string, readonly Claim[]>,
  headers: ReadonlyMap<string, unknown>,
  { expired }: Proof,
  findings: Findings,
): void {
  for (const [segment, own] of claims) {
    if (headers.has(segment)) continue;
    const end = expired.get(segment);
    const last = own.findLast(({ mark }) => mark !== null) ?? own.at(-1);
    if (last === undefined) continue;
    if (end === undefined) {
      findings.problem(segment, null, `the segment is missing: ${last.by} knows it`, last.mark);
    } else if (
      own.some(
        ({ length, chain }) =>
          length > end.length || (length === end.length && chain !== end.chain),
      )
    ) {
      findings.problem(
        segment,
        null,
        'the segment expired with another end than it is known to have had',
        last.mark,
      );
    }
  }
}

/** A whole file that was put there: checkpoints speak of every segment that there was. */
function findUnknown(
  headers: ReadonlyMap<string, SegmentHeader | undefined>,
  { boundaries, last }: Proof,
  findings: Findings,
): void {
  if (last === null) return;
  for (const [segment, header] of headers) {
    if (header === undefined || boundaries.has(segment) || header.time >= last.time) continue;
    findings.problem(
      segment,
      null,
      `no checkpoint knows this segment, though ${markText(last)} is younger: it was put there`,
      last,
    );
  }
}

function noteLimits(
  { count, last, keys }: Proof,
  given: readonly KeyObject[],
  findings: Findings,
): void {
  if (last === null) {
    const what =
      'there is no checkpoint: whoever could write here could also compute the chain anew';
    if (given.length > 0)
      findings.problem(
        'checkpoints.jsonl',
        null,
        'there is no checkpoint, and a key to verify them was given',
      );
    else findings.note('checkpoints.jsonl', null, what);
  } else if (given.length === 0 && count > 0) {
    const what = `signatures were held against the ${keys.size === 1 ? 'key' : `${keys.size} keys`} that the checkpoints name themselves: give the public key to be sure of it`;
    findings.note('checkpoints.jsonl', null, what);
  }
}

function markText({ number, time }: Mark): string {
  return `checkpoint ${number} of ${time}`;
}
