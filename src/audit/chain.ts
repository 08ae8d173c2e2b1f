import { hash } from 'node:crypto';

/**
 * The chain over the lines of a segment. Each line ends with a field `chain`: the SHA-256, in hex, of all bytes from the
 * chain value of the line before up to this line's own field. The first line has none before it and begins with itself.
 *
 *     {"type":"decision", … ,"chain":"6a1f…"}⏎{"type":"outcome", … ,"chain":"09c3…"}⏎
 *                                     └───────────────────────────┘ the digest of this is 09c3…
 *
 * So a value vouches for its line, for the one before and, through that one's value, for all before.
 */
const FIELD = ',"chain":"';
const END = '"}\n';
const DIGITS = 64;
const CLOSE_LENGTH = '}\n'.length;
/** What the chain adds to a line. */
const ADDED = FIELD.length + DIGITS + END.length - CLOSE_LENGTH;
/** What a chained line has behind its own fields, without the newline. */
const TAIL = FIELD.length + DIGITS + END.length - 1;

export interface Chained {
  /** Until the next lines are chained. */
  readonly bytes: Buffer;
  /** The last line's value. */
  readonly chain: string;
}

/** What most batches have room in, and is kept for the next. */
const KEPT_ROOM = 512 * 1024;

/** Chains lines within one piece of memory that serves again and again: a new one for each batch costs more than to fill it. */
export class Chainer {
  #room: Buffer | undefined;

  /**
   * @param previous the value of the line before; null at the beginning of a segment
   * @param lines at least one; each a JSON object with its newline
   */
  chain(previous: string | null, lines: readonly string[]): Chained {
    const carried = previous === null ? '' : previous + END;
    const bytes = this.#roomFor(carried, lines);
    let at = bytes.write(carried, 'latin1');
    let chain = '';
    let covered = 0;
    for (const line of lines) {
      at += bytes.write(line, at) - CLOSE_LENGTH;
      chain = hash('sha256', bytes.subarray(covered, at), 'hex');
      covered = at + FIELD.length;
      at += bytes.write(FIELD + chain + END, at, 'latin1');
    }
    return { bytes: bytes.subarray(carried.length, at), chain };
  }

  #roomFor(carried: string, lines: readonly string[]): Buffer {
    let length = carried.length;
    // No UTF-16 unit takes more than three bytes.
    for (const line of lines) length += line.length * 3 + ADDED;
    if (length > KEPT_ROOM) return Buffer.allocUnsafeSlow(length);
    this.#room ??= Buffer.allocUnsafeSlow(KEPT_ROOM);
    return this.#room;
  }
}

const FIELD_BYTES = Buffer.from(FIELD);
const VALUE = /^[0-9a-f]{64}$/;

/** The value that a line states, without its newline; undefined when it does not end as a chained line does. */
export function statedChain(line: Buffer): string | undefined {
  const field = line.length - TAIL;
  if (field < 0 || FIELD_BYTES.compare(line, field, field + FIELD.length) !== 0) return undefined;
  if (line.toString('latin1', line.length - 2) !== '"}') return undefined;
  const value = line.toString('latin1', field + FIELD.length, line.length - 2);
  return VALUE.test(value) ? value : undefined;
}

/** The value that a line must state behind a previous one. @param line without its newline, as long as a chained one */
export function chainAfter(previous: string | null, line: Buffer): string {
  const own = line.subarray(0, line.length - TAIL);
  return previous === null ? hash('sha256', own, 'hex') : hashOf(Buffer.from(previous + END), own);
}

function hashOf(link: Buffer, own: Buffer): string {
  return hash('sha256', Buffer.concat([link, own]), 'hex');
}

/** Some value that a damaged line may once have stated. */
export function findChain(line: Buffer): string | undefined {
  return /"chain":"([0-9a-f]{64})/.exec(
    line.toString('latin1', Math.max(0, line.length - 2 * TAIL)),
  )?.[1];
}
