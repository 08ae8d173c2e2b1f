import { CLASS, COLON, CR, HTAB, LF, SP, TEXT, TOKEN } from './characters.ts';
import { FramingError } from './framing-error.ts';

export interface HeadLimits {
  /** Bytes of a whole head, its empty line included. */
  readonly bytes: number;
  /** Field lines of a head. */
  readonly fields: number;
}

/** Numbers per field in the offsets: start and end of the name, start and end of the value without OWS. */
const STRIDE = 4;

/**
 * The field lines of one head, as offsets into it: no string is made before it is asked for, and then as a slice of the
 * head's. Order, spelling and every byte of a value are those that were sent. Strings are latin1.
 */
export class Fields {
  /** The head that the fields stand in. */
  readonly bytes: Buffer;
  /** All of `bytes`: one conversion and slices of it are several times faster than a conversion for each. */
  readonly text: string;
  readonly #offsets: readonly number[];

  constructor(bytes: Buffer, text: string, offsets: readonly number[]) {
    this.bytes = bytes;
    this.text = text;
    this.#offsets = offsets;
  }

  get count(): number {
    return this.#offsets.length / STRIDE;
  }

  has(lowerName: string): boolean {
    return this.#find(lowerName, 0) >= 0;
  }

  /** The first value, without the white space around it. */
  value(lowerName: string): string | undefined {
    const i = this.#find(lowerName, 0);
    return i < 0 ? undefined : this.valueAt(i);
  }

  /** Every value in order, without the white space around it. */
  values(lowerName: string): string[] {
    const values: string[] = [];
    for (let i = this.#find(lowerName, 0); i >= 0; i = this.#find(lowerName, i + 1)) {
      values.push(this.valueAt(i));
    }
    return values;
  }

  /** Every line of that name as sent, without its CRLF: for fields that parsers read differently. */
  lines(lowerName: string): string[] {
    const lines: string[] = [];
    for (let i = this.#find(lowerName, 0); i >= 0; i = this.#find(lowerName, i + 1)) {
      lines.push(this.text.slice(this.lineStart(i), this.lineStart(i + 1) - 2));
    }
    return lines;
  }

  /** The members of a comma-separated field over all its lines, in lower case. For fields without quoted strings. */
  list(lowerName: string): string[] {
    const members: string[] = [];
    for (const value of this.values(lowerName)) {
      for (const member of value.toLowerCase().split(',')) {
        const trimmed = withoutBlanks(member);
        if (trimmed !== '') members.push(trimmed);
      }
    }
    return members;
  }

  name(i: number): string {
    return this.#slice(i, 0);
  }

  valueAt(i: number): string {
    return this.#slice(i, 2);
  }

  /** Where line `i` begins in `bytes`. `lineStart(count)` is where the last line ends, behind its CRLF. */
  lineStart(i: number): number {
    return i < this.count ? (this.#offsets[i * STRIDE] as number) : this.bytes.length - 2;
  }

  #slice(i: number, at: number): string {
    const offset = i * STRIDE + at;
    return this.text.slice(this.#offsets[offset], this.#offsets[offset + 1]);
  }

  #find(lowerName: string, from: number): number {
    const offsets = this.#offsets;
    for (let at = from * STRIDE; at < offsets.length; at += STRIDE) {
      const start = offsets[at] as number;
      if ((offsets[at + 1] as number) - start !== lowerName.length) continue;
      if (this.#named(lowerName, start)) return at / STRIDE;
    }
    return -1;
  }

  #named(lowerName: string, start: number): boolean {
    for (let i = 0; i < lowerName.length; i++) {
      const byte = this.bytes[start + i] as number;
      const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
      if (lower !== lowerName.charCodeAt(i)) return false;
    }
    return true;
  }
}

/** Spaces and tabs alone: `trim` takes off what other parsers leave. */
function withoutBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB;
}

/**
 * Parses the field lines from `at` up to the empty line that ends `bytes` (RFC 9112 5).
 *
 * The caller has made sure that `bytes` ends in CRLF CRLF: it stops every loop here, so that none looks at the length.
 *
 * @param text `bytes` in latin1
 * @throws FramingError
 */
export function parseFields(bytes: Buffer, text: string, at: number, limits: HeadLimits): Fields {
  const offsets: number[] = [];
  const end = bytes.length - 2;
  while (at < end) {
    if (offsets.length === limits.fields * STRIDE) {
      throw new FramingError('too-many-fields', `there are more than ${limits.fields} fields`);
    }
    at = parseFieldLine(bytes, at, offsets);
  }
  return new Fields(bytes, text, offsets);
}

/** Returns where the next line begins. */
function parseFieldLine(bytes: Buffer, start: number, offsets: number[]): number {
  let at = start;
  while (((CLASS[bytes[at] as number] as number) & TOKEN) !== 0) at++;
  if (bytes[at] !== COLON || at === start) throw nameFault(bytes, start, at);
  const nameEnd = at++;
  while (bytes[at] === SP || bytes[at] === HTAB) at++;
  const valueStart = at;
  while (((CLASS[bytes[at] as number] as number) & TEXT) !== 0) at++;
  if (bytes[at] !== CR || bytes[at + 1] !== LF) throw textFault(bytes, at);
  const next = at + 2;
  while (at > valueStart && (bytes[at - 1] === SP || bytes[at - 1] === HTAB)) at--;
  offsets.push(start, nameEnd, valueStart, at);
  return next;
}

function nameFault(bytes: Buffer, start: number, at: number): FramingError {
  const byte = bytes[at];
  if (at === start && (byte === SP || byte === HTAB)) {
    return new FramingError('obs-fold', 'a field line begins with white space');
  }
  if (byte === LF) return new FramingError('bare-lf', 'a line ends in LF without CR');
  if (byte === COLON) return new FramingError('field-name', 'a field line has no name');
  return new FramingError('field-name', 'a field name is not a token that a colon follows');
}

/** Why a value or a phrase does not reach to a CRLF. */
export function textFault(bytes: Buffer, at: number): FramingError {
  if (bytes[at] === LF) return new FramingError('bare-lf', 'a line ends in LF without CR');
  if (bytes[at] === CR) return new FramingError('bare-cr', 'a CR stands without its LF');
  return new FramingError('field-value', 'a value holds a control character');
}

/** @throws FramingError `cut` where `bytes` is not one whole head. */
export function requireWholeHead(bytes: Buffer): void {
  const n = bytes.length;
  if (n >= 4 && bytes[n - 4] === CR && bytes[n - 3] === LF && bytes[n - 2] === CR) {
    if (bytes[n - 1] === LF) return;
  }
  throw new FramingError('cut', 'the head ends before its empty line');
}
