import type { BodyChange } from '../../core/injection.ts';
import { Refusal } from '../../core/refusal.ts';
import { type Signer, sha256 } from './signing.ts';

const CHUNK = 'AWS4-HMAC-SHA256-PAYLOAD';
const TRAILER = 'AWS4-HMAC-SHA256-TRAILER';
const EMPTY = sha256('');

/** A line with a size and a signature, or with a trailer. */
const MAX_LINE = 8 * 1024;
const MAX_TRAILERS = 16;
/** A chunk is signed as a whole, so it is held as a whole. Clients make them of 64 KiB to 1 MiB. */
const MAX_CHUNK = 8 * 1024 * 1024;

type State = 'size' | 'data' | 'trailers' | 'done';

/**
 * Signs a streamed upload anew, chunk by chunk, as each signature depends on the one before
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html). Signatures have one length, so the body keeps
 * its own.
 */
export class ChunkSigner implements BodyChange {
  readonly #signer: Signer;
  readonly #signsTrailers: boolean;
  #previous: string;
  #state: State = 'size';
  #size = 0;
  #pending: Buffer = Buffer.alloc(0);
  #trailers: string[] = [];

  /** @param seed the signature of the head @param signsTrailers as the head says: `…-PAYLOAD-TRAILER` */
  constructor(signer: Signer, seed: string, signsTrailers: boolean) {
    this.#signer = signer;
    this.#previous = seed;
    this.#signsTrailers = signsTrailers;
  }

  push(piece: Buffer): Buffer {
    this.#pending = this.#pending.length === 0 ? piece : Buffer.concat([this.#pending, piece]);
    const out: Buffer[] = [];
    for (let next = this.#step(); next !== undefined; next = this.#step()) out.push(next);
    return Buffer.concat(out);
  }

  end(): Buffer {
    if (this.#state !== 'done' || this.#pending.length > 0)
      throw malformed('it is cut, or goes on');
    return Buffer.alloc(0);
  }

  /** The next part that is whole, signed; undefined where more has to come. */
  #step(): Buffer | undefined {
    switch (this.#state) {
      case 'size':
        return this.#takeSize();
      case 'data':
        return this.#takeData();
      case 'trailers':
        return this.#takeTrailer();
      case 'done':
        return undefined;
    }
  }

  #takeSize(): Buffer | undefined {
    const line = this.#takeLine();
    if (line === undefined) return undefined;
    const size = /^([0-9a-f]{1,8});chunk-signature=[0-9a-f]{64}$/i.exec(line)?.[1];
    if (size === undefined) throw malformed('a chunk does not begin with its size and signature');
    this.#size = Number.parseInt(size, 16);
    if (this.#size > MAX_CHUNK) throw malformed(`a chunk is larger than ${MAX_CHUNK} bytes`);
    if (this.#size > 0) {
      this.#state = 'data';
      return Buffer.alloc(0);
    }
    this.#state = 'trailers';
    return Buffer.from(`${size};chunk-signature=${this.#sign('')}\r\n`);
  }

  #takeData(): Buffer | undefined {
    if (this.#pending.length < this.#size + 2) return undefined;
    const data = this.#pending.subarray(0, this.#size);
    if (this.#pending.toString('latin1', this.#size, this.#size + 2) !== '\r\n') {
      throw malformed('a chunk is longer than its size');
    }
    this.#pending = this.#pending.subarray(this.#size + 2);
    this.#state = 'size';
    const head = `${this.#size.toString(16)};chunk-signature=${this.#sign(data)}\r\n`;
    return Buffer.concat([Buffer.from(head), data, Buffer.from('\r\n')]);
  }

  #takeTrailer(): Buffer | undefined {
    const line = this.#takeLine();
    if (line === undefined) return undefined;
    if (line === '') {
      this.#state = 'done';
      return Buffer.from('\r\n');
    }
    if (/^x-amz-trailer-signature:/i.test(line)) {
      const content = this.#trailers.map((trailer) => `${trailer}\n`).join('');
      const signature = this.#signer.signText(TRAILER, this.#previous, sha256(content));
      return Buffer.from(`x-amz-trailer-signature:${signature}\r\n`);
    }
    const trailer = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (trailer === null || !this.#signsTrailers || this.#trailers.length === MAX_TRAILERS) {
      throw malformed('its trailers are none that it announced');
    }
    this.#trailers.push(`${(trailer[1] as string).toLowerCase()}:${trailer[2]}`);
    return Buffer.from(`${line}\r\n`);
  }

  #takeLine(): string | undefined {
    const end = this.#pending.indexOf('\r\n');
    if ((end < 0 ? this.#pending.length : end) > MAX_LINE) throw malformed('a line is too long');
    if (end < 0) return undefined;
    const line = this.#pending.toString('latin1', 0, end);
    this.#pending = this.#pending.subarray(end + 2);
    return line;
  }

  #sign(data: Buffer | ''): string {
    this.#previous = this.#signer.signText(CHUNK, this.#previous, EMPTY, sha256(data));
    return this.#previous;
  }
}

function malformed(what: string): Refusal {
  return new Refusal('request-invalid', `the body is no aws-chunked one: ${what}`);
}
