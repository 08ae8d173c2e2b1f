import { ChunkedReader } from './chunked.ts';
import type { Fields } from './fields.ts';
import type { Framing } from './framing.ts';
import { FramingError } from './framing-error.ts';

/** Tells the bytes of one body from what follows it. Nothing is kept and nothing copied: payload is handed on as views. */
export class BodyReader {
  readonly #chunked: ChunkedReader | undefined;
  /** Bytes still missing; infinite where only the connection's end tells. */
  #left: number;

  constructor(framing: Framing) {
    this.#chunked = framing.kind === 'chunked' ? new ChunkedReader() : undefined;
    this.#left = framing.kind === 'length' ? framing.length : 0;
    if (framing.kind === 'close') this.#left = Number.POSITIVE_INFINITY;
  }

  get done(): boolean {
    return this.#chunked === undefined ? this.#left === 0 : this.#chunked.done;
  }

  /** Whether only the end of its connection ends it. */
  get isOpenEnded(): boolean {
    return this.#left === Number.POSITIVE_INFINITY;
  }

  /** The fields that stood behind it, once it is done. */
  get trailers(): Fields | undefined {
    return this.#chunked?.trailers;
  }

  /**
   * Hands on the payload in `chunk`, and returns how many bytes of it belong to this body: fewer than all when it ends
   * within.
   *
   * @throws FramingError
   */
  push(chunk: Buffer, emit: (payload: Buffer) => void): number {
    if (this.#chunked !== undefined) return this.#chunked.push(chunk, emit);
    const taken = Math.min(this.#left, chunk.length);
    this.#left -= taken;
    if (taken > 0) emit(taken === chunk.length ? chunk : chunk.subarray(0, taken));
    return taken;
  }

  /** The peer has sent its last byte. @throws FramingError `cut` where some of the body are missing */
  end(): void {
    if (this.isOpenEnded) this.#left = 0;
    if (!this.done) throw new FramingError('cut', 'the connection ended within the body');
  }
}
