import type { Duplex } from 'node:stream';
import type { Unmasked } from '../../core/conversation.ts';
import { pumpBody } from '../../stream/bodies.ts';
import type { Channel } from '../../stream/channel.ts';
import { pumpDecoded } from '../../stream/decoded-bodies.ts';
import { BodyReader } from '../../wire/http1/body.ts';
import { type Framing, responseFraming } from '../../wire/http1/framing.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { ResponseHead } from '../../wire/http1/response-head.ts';
import type { Injection } from './injection.ts';

/** The body of a response on its way to the client. */
export class ResponseBody {
  /** How it comes. */
  readonly framing: Framing;
  /** How it goes on. */
  readonly onward: Framing;
  /** Payload bytes so far, as they came. */
  bytes = 0;
  /** Why its body could not be looked at whole for a credential. */
  readonly unmasked: Unmasked | undefined;
  readonly #decoder: Duplex | undefined;
  readonly #injection: Injection | undefined;

  /**
   * @param injection whose secrets must not come back
   * @throws FramingError when the head does not tell plainly how long it is; UpstreamError for a coding that hides it
   */
  constructor(request: RequestHead, response: ResponseHead, injection: Injection | undefined) {
    this.framing = responseFraming(response, request.method);
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

  /** @returns undefined where all of it has gone on already @throws as `pumpDecoded` */
  send(upstream: Channel, client: Channel): Promise<void> | undefined {
    const chunked = this.onward.kind === 'chunked';
    const body = new BodyReader(this.framing);
    const count = (bytes: number) => {
      this.bytes += bytes;
    };
    const redaction = this.#injection?.redaction();
    if (this.#decoder === undefined || redaction === undefined) {
      return pumpBody(upstream, body, client, chunked, count, redaction);
    }
    return pumpDecoded(upstream, body, this.#decoder, client, chunked, count, redaction);
  }
}
