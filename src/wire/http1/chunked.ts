import { CR, LF } from './characters.ts';
import { type Fields, type HeadLimits, parseFields } from './fields.ts';
import { FramingError } from './framing-error.ts';
import { HeadReader } from './head-reader.ts';

/** So that a size is below 2^52 and exact. */
const MAX_SIZE_DIGITS = 13;
/** Over a whole body: a peer may not make one byte of payload cost many, again and again. */
const MAX_EXTENSION_BYTES = 16 * 1024;
const TRAILER_LIMITS: HeadLimits = { bytes: 8 * 1024, fields: 64 };
const SEMICOLON = 0x3b;

const NAME = String.raw`[!#$%&'*+\-.^_\x60|~0-9A-Za-z]+`;
const QUOTED = String.raw`"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"`;
const ONE_EXTENSION = `${NAME}(?:=(?:${NAME}|${QUOTED}))?`;
/** chunk-ext behind its first semicolon, in latin1, without bad white space (RFC 9112 7.1.1). */
const EXTENSIONS = new RegExp(`^${ONE_EXTENSION}(?:;${ONE_EXTENSION})*$`);

/** What the next byte is read as. */
type State =
  | 'size'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'section-start'
  | 'trailers'
  | 'last-lf'
  | 'done';

/**
 * Reads a chunked body (RFC 9112 7.1). Extensions are checked and dropped: a hop must not pass on what it does not
 * understand as if it did. Trailers are kept apart: they are where fields hide that would not get through in a head.
 *
 * White space around a size is refused, though the grammar has room for some before an extension: peers disagree on it.
 */
export class ChunkedReader {
  #state: State = 'size';
  #size = 0;
  #digits = 0;
  #extension = '';
  #extensionBytes = 0;
  readonly #section = new HeadReader(parseTrailers, TRAILER_LIMITS, 'trailers-too-large');
  /** What stood behind the last chunk, once it is done. */
  trailers: Fields | undefined;

  get done(): boolean {
    return this.#state === 'done';
  }

  /** Returns how many bytes of `chunk` belong to the body. @throws FramingError */
  push(chunk: Buffer, emit: (payload: Buffer) => void): number {
    let at = 0;
    while (at < chunk.length && this.#state !== 'done') {
      if (this.#state === 'data') at = this.#takeData(chunk, at, emit);
      else if (this.#state === 'trailers') at = this.#takeTrailers(chunk, at);
      else if (this.#state === 'section-start' && chunk[at] !== CR) this.#state = 'trailers';
      else this.#state = this.#step(this.#state, chunk[at++] as number);
    }
    return at;
  }

  #takeData(chunk: Buffer, at: number, emit: (payload: Buffer) => void): number {
    const end = Math.min(at + this.#size, chunk.length);
    this.#size -= end - at;
    if (this.#size === 0) this.#state = 'data-cr';
    emit(chunk.subarray(at, end));
    return end;
  }

  #takeTrailers(chunk: Buffer, at: number): number {
    this.trailers = this.#section.push(chunk.subarray(at));
    if (this.trailers === undefined) return chunk.length;
    this.#state = 'done';
    return chunk.length - this.#section.rest.length;
  }

  #step(state: Exclude<State, 'data' | 'trailers' | 'done'>, byte: number): State {
    switch (state) {
      case 'size':
        return this.#takeSize(byte);
      case 'extension':
        return this.#takeExtension(byte);
      case 'size-lf':
        requireLf(byte);
        this.#digits = 0;
        return this.#size > 0 ? 'data' : 'section-start';
      case 'data-cr':
        if (byte !== CR) throw new FramingError('chunk-end', 'a chunk is longer than its size');
        return 'data-lf';
      case 'data-lf':
        requireLf(byte);
        return 'size';
      case 'section-start':
        return 'last-lf';
      case 'last-lf':
        requireLf(byte);
        return 'done';
    }
  }

  #takeSize(byte: number): State {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#digits > MAX_SIZE_DIGITS) {
        throw new FramingError('chunk-size', 'a chunk size has too many digits');
      }
      this.#size = this.#size * 16 + digit;
      return 'size';
    }
    if (byte === LF) throw new FramingError('bare-lf', 'a line ends in LF without CR');
    if (this.#digits === 0 || (byte !== CR && byte !== SEMICOLON)) {
      throw new FramingError('chunk-size', 'a chunk size is not plain hexadecimal digits');
    }
    return byte === CR ? 'size-lf' : 'extension';
  }

  #takeExtension(byte: number): State {
    if (byte === CR) {
      if (!EXTENSIONS.test(this.#extension)) {
        throw new FramingError('chunk-extension', 'a chunk extension is malformed');
      }
      this.#extension = '';
      return 'size-lf';
    }
    if (byte === LF) throw new FramingError('bare-lf', 'a line ends in LF without CR');
    if (++this.#extensionBytes > MAX_EXTENSION_BYTES) {
      const limit = MAX_EXTENSION_BYTES;
      throw new FramingError('chunk-extension-too-long', `chunk extensions exceed ${limit} bytes`);
    }
    this.#extension += String.fromCharCode(byte);
    return 'extension';
  }
}

function parseTrailers(bytes: Buffer, limits: HeadLimits): Fields {
  const fields = parseFields(bytes, bytes.toString('latin1'), 0, limits);
  // RFC 9110 6.5.1: what frames a message comes too late here, and is there to confuse.
  if (fields.has('content-length') || fields.has('transfer-encoding')) {
    throw new FramingError('trailer-field', 'a trailer claims to frame the message');
  }
  return fields;
}

function requireLf(byte: number): void {
  if (byte !== LF) throw new FramingError('bare-cr', 'a CR stands without its LF');
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
