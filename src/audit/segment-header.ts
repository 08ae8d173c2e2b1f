import { printable } from './printable.ts';

/** Up to where a segment went, as its lines are chained. */
export interface SegmentHead {
  /** The file's name. */
  readonly segment: string;
  /** Of its whole lines, in bytes: a torn last one does not count. */
  readonly length: number;
  /** The last line's value; null when it has no line. */
  readonly chain: string | null;
  /** Nothing is written to it any more. */
  readonly closed: boolean;
}

/** The first line of every segment. */
export interface SegmentHeader {
  readonly type: 'segment';
  /** When it began: ISO 8601, UTC. */
  readonly time: string;
  readonly gateway: string;
  /** Of the lines and their chain. */
  readonly format: 1;
  /** The process that writes it. */
  readonly worker: { readonly pid: number; readonly id: string };
  /** The digest of the policy in force. */
  readonly policy: string;
  /** The segment before: this worker's own or, at its start, the newest of the directory; null when there was none. */
  readonly after: SegmentHead | null;
}

export function headerLine(header: SegmentHeader): string {
  return `${printable(JSON.stringify(header))}\n`;
}

/** @returns undefined for what is no header of a known format */
export function parseHeader(line: Buffer): SegmentHeader | undefined {
  try {
    const header = JSON.parse(line.toString()) as SegmentHeader;
    return header.type === 'segment' && header.format === 1 && isHeader(header)
      ? header
      : undefined;
  } catch {
    return undefined;
  }
}

function isHeader({ time, worker, after }: SegmentHeader): boolean {
  return (
    typeof time === 'string' &&
    typeof worker.pid === 'number' &&
    (after === null || (typeof after.segment === 'string' && Number.isSafeInteger(after.length)))
  );
}
