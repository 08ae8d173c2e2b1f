import type { Duplex } from 'node:stream';
import type { Unmasked } from '../../core/conversation.ts';
import type { BodyChange } from '../../core/injection.ts';
import { type Passage, pumpBody } from '../../stream/bodies.ts';
import type { Channel } from '../../stream/channel.ts';
import { pumpDecoded } from '../../stream/decoded-bodies.ts';
import { BodyReader } from '../../wire/http1/body.ts';
import type { Fields } from '../../wire/http1/fields.ts';
import { type Framing, responseFraming } from '../../wire/http1/framing.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { ResponseHead } from '../../wire/http1/response-head.ts';
import { LAST_CHUNK } from '../../wire/http1/writer.ts';
import { dropsFromResponse } from './forwarded-head.ts';
import type { Injection } from './injection.ts';
import { lastChunkWith, takesTrailers } from './trailers.ts';

/** The body of a response on its way to the client. */
export class ResponseBody implements Passage {
  /** How it comes. */
  readonly framing: Framing;
  /** How it goes on. */
  readonly onward: Framing;
  /** Payload bytes so far, as they came. */
  bytes = 0;
  /** Why its body could not be looked at whole for a credential. */
  readonly unmasked: Unmasked | undefined;
  change: BodyChange | undefined;
  readonly #request: RequestHead;
  readonly #response: ResponseHead;
  readonly #decoder: Duplex | undefined;
  readonly #injection: Injection | undefined;

  /**
   * @param injection whose secrets must not come back
   * @throws FramingError when the head does not tell plainly how long it is; UpstreamError for a coding that hides it
   */
  constructor(request: RequestHead, response: ResponseHead, injection: Injection | undefined) {
    this.framing = responseFraming(response, request.method);
    this.#request = request;
    this.#response = response;
    this.#injection = injection;
    this.#decoder = this.framing.kind === 'none' ? undefined : injection?.decoder(response);
    this.unmasked = this.framing.kind === 'none' ? undefined : injection?.unmasked(response);
    const framing: Framing = this.isDecoded ? { kind: 'chunked' } : this.framing;
    // HTTP/1.0 knows no chunks.
    this.onward = framing.kind === 'chunked' && request.minor === 0 ? { kind: 'close' } : framing;
  }

  /** Whether it goes on without the coding that it came in. */
  get isDecoded(): boolean {
    return this.#decoder !== undefined;
  }

  get chunked(): boolean {
    return this.onward.kind === 'chunked';
  }

  count(bytes: number): void {
    this.bytes += bytes;
  }

  lastChunk(trailers: Fields | undefined): Buffer {
    if (trailers === undefined || !takesTrailers(this.#request)) return LAST_CHUNK;
    const last = lastChunkWith(trailers, dropsFromResponse(this.#response));
    return this.#injection?.redact(last) ?? last;
  }

  /** @returns undefined where all of it has gone on already @throws as `pumpDecoded` */
  send(upstream: Channel, client: Channel): Promise<void> | undefined {
    const body = new BodyReader(this.framing);
    this.change = this.#injection?.redaction();
    if (this.#decoder === undefined) return pumpBody(upstream, body, client, this);
    return pumpDecoded(upstream, body, this.#decoder, client, this);
  }
}
