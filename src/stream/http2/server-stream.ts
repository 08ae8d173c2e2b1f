import { constants, type Http2Stream, type ServerHttp2Stream } from 'node:http2';
import { responseFraming } from '../../wire/http1/framing.ts';
import { HeadReader } from '../../wire/http1/head-reader.ts';
import { parseResponseHead, type ResponseHead } from '../../wire/http1/response-head.ts';
import { responseFields } from '../../wire/http2/response.ts';
import type { TakenHead } from './sent-message.ts';
import { OWN_HEADS, StreamSocket } from './stream-socket.ts';

/** A stream that a client opened: the body of its request comes, and the response is written. */
export class ServerStream extends StreamSocket {
  declare protected readonly stream: ServerHttp2Stream;
  protected readonly resetCode = constants.NGHTTP2_INTERNAL_ERROR;
  /** RFC 9113 8.1: the rest of a request that was answered is not wanted. */
  protected readonly sentCode = constants.NGHTTP2_NO_ERROR;
  readonly #method: string;
  readonly #reader = new HeadReader(parseResponseHead, OWN_HEADS);
  #head: ResponseHead | undefined;

  /** @param chunked whether the body of the request is told in chunks */
  constructor(stream: ServerHttp2Stream, method: string, chunked: boolean) {
    super();
    this.#method = method;
    this.chunked = chunked;
    this.attach(stream);
  }

  protected takeHead(bytes: Buffer): TakenHead | undefined {
    for (let rest = bytes; rest.length > 0; ) {
      const head = this.#reader.push(rest);
      if (head === undefined) return undefined;
      rest = this.#reader.rest;
      if (head.status >= 200) {
        this.#head = head;
        return { framing: responseFraming(head, this.#method), rest };
      }
      this.#reader.reset();
      if (!this.stream.closed) this.stream.additionalHeaders(responseFields(head));
    }
    return undefined;
  }

  protected sendHead(ends: boolean): void {
    const head = this.#head as ResponseHead;
    if (this.stream.closed) return;
    this.stream.respond(responseFields(head), {
      endStream: ends,
      waitForTrailers: !ends && head.fields.has('transfer-encoding'),
    });
  }

  /** A client that resets its stream with whatever code, before the answer was complete, has left. */
  protected isCut({ aborted, rstCode }: Http2Stream): boolean {
    return aborted || rstCode !== constants.NGHTTP2_NO_ERROR;
  }
}
