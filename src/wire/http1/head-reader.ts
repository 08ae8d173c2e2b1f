import { Gathering } from '../gathering.ts';
import { CR, is, LF, TOKEN } from './characters.ts';
import type { HeadLimits } from './fields.ts';
import { type FramingCode, FramingError } from './framing-error.ts';

const EMPTY = Buffer.alloc(0);
const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Finds the end of a head over chunks and has it parsed. A head that arrives in one chunk is not copied.
 *
 * What cannot become valid any more (a wrong first byte, a bare LF or CR, too many bytes) fails at once, so that nobody
 * holds a connection by never ending such a head.
 */
export class HeadReader<Head> {
  readonly #parse: (bytes: Buffer, limits: HeadLimits) => Head;
  readonly #limits: HeadLimits;
  readonly #tooLarge: FramingCode;
  readonly #gathering = new Gathering();
  /** Up to where `#gathering` holds no end and no lone CR or LF. */
  #searched = 0;
  #rest: Buffer = EMPTY;

  /** @param parse `parseRequestHead` or `parseResponseHead` */
  constructor(
    parse: (bytes: Buffer, limits: HeadLimits) => Head,
    limits: HeadLimits,
    tooLarge: FramingCode = 'head-too-large',
  ) {
    this.#parse = parse;
    this.#limits = limits;
    this.#tooLarge = tooLarge;
  }

  /** The bytes behind the head, once `push` returned one. */
  get rest(): Buffer {
    return this.#rest;
  }

  /** Whether some byte of a head has arrived. An empty line before a request is none. */
  get started(): boolean {
    return this.#gathering.length > startOf(this.#gathering.bytes);
  }

  /**
   * Returns the head as soon as it is whole; then `reset` makes the reader ready for the next.
   *
   * @throws FramingError
   */
  push(chunk: Buffer): Head | undefined {
    const bytes = this.#gathering.add(chunk);
    const from = Math.max(startOf(bytes), this.#searched - HEAD_END.length + 1);
    const end = bytes.indexOf(HEAD_END, from);
    const length = end < 0 ? bytes.length : end + HEAD_END.length;
    if (length > this.#limits.bytes) {
      const limit = this.#limits.bytes;
      throw new FramingError(this.#tooLarge, `no empty line within ${limit} bytes`);
    }
    if (end < 0) {
      this.#requireHope(bytes);
      return undefined;
    }
    // What comes most is one head by itself: no view is made of it.
    if (length === bytes.length) return this.#parse(bytes, this.#limits);
    this.#rest = bytes.subarray(length);
    return this.#parse(bytes.subarray(0, length), this.#limits);
  }

  reset(): void {
    this.#gathering.clear();
    this.#searched = 0;
    this.#rest = EMPTY;
  }

  #requireHope(bytes: Buffer): void {
    const first = startOf(bytes);
    if (bytes.length > first && !is(bytes, first, TOKEN)) {
      throw new FramingError('start-line', 'the first byte begins no HTTP message');
    }
    for (let at = this.#searched; at < bytes.length; at++) {
      if (bytes[at] === LF && bytes[at - 1] !== CR) {
        throw new FramingError('bare-lf', 'a line ends in LF without CR');
      }
      if (bytes[at] !== LF && bytes[at - 1] === CR) {
        throw new FramingError('bare-cr', 'a CR stands without its LF');
      }
    }
    this.#searched = bytes.length;
  }
}

/** Where the head begins: behind the empty line that may stand before a request (RFC 9112 2.2). */
function startOf(bytes: Buffer): number {
  return bytes[0] === CR ? 2 : 0;
}
