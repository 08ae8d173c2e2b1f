import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import { requestFraming } from '../../wire/http1/framing.ts';
import { HeadReader } from '../../wire/http1/head-reader.ts';
import { parseRequestHead, type RequestHead } from '../../wire/http1/request-head.ts';
import { LAST_CHUNK } from '../../wire/http1/writer.ts';
import type { RawFields } from '../../wire/http2/fields.ts';
import { requestFields } from '../../wire/http2/request.ts';
import { responseBytes } from '../../wire/http2/response.ts';
import type { TakenHead } from './sent-message.ts';
import { OWN_HEADS, StreamSocket } from './stream-socket.ts';

/** How long a server may take to end a stream whose answer is whole by its length. */
const END_MS = 2_000;

/** Of a session that is over, or was told to be so. */
const TAKES_NO_MORE: ReadonlySet<string> = new Set([
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_INVALID_SESSION',
  'ERR_HTTP2_OUT_OF_STREAMS',
]);

/** A stream that is opened for one request: that is written, and the response comes. */
export class ClientStream extends StreamSocket {
  declare protected stream: ClientHttp2Stream | undefined;
  protected readonly resetCode = constants.NGHTTP2_CANCEL;
  protected readonly sentCode = constants.NGHTTP2_CANCEL;
  /** Whether the request went out, and no response has begun. */
  isUnanswered = false;
  readonly #session: ClientHttp2Session;
  /** Whether END_STREAM came. */
  #isWhole = false;
  readonly #reader = new HeadReader(parseRequestHead, OWN_HEADS);
  #head: RequestHead | undefined;

  constructor(session: ClientHttp2Session) {
    super();
    this.#session = session;
  }

  protected takeHead(bytes: Buffer): TakenHead | undefined {
    this.#head = this.#reader.push(bytes);
    if (this.#head === undefined) return undefined;
    return { framing: requestFraming(this.#head), rest: this.#reader.rest };
  }

  protected sendHead(ends: boolean): void {
    const head = this.#head as RequestHead;
    const waitForTrailers = !ends && head.fields.has('transfer-encoding');
    try {
      const stream = this.#session.request(requestFields(head), {
        endStream: ends,
        waitForTrailers,
      });
      stream.on('headers', (_fields, _flags, raw: RawFields) => this.#onHead(raw, false));
      stream.on('response', (_fields, flags, raw: RawFields) =>
        this.#onHead(raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0),
      );
      this.#watchEnd(stream);
      this.attach(stream);
      this.isUnanswered = true;
    } catch (error) {
      if (!TAKES_NO_MORE.has(String((error as NodeJS.ErrnoException).code))) throw error;
      // Nothing of the request went out.
      queueMicrotask(() => this.lose(constants.NGHTTP2_REFUSED_STREAM));
    }
  }

  /**
   * Nothing more is wanted of it. Of most answers END_STREAM alone is to come, and that is waited for: servers that guard
   * against resets (CVE-2023-44487) count each against their client.
   */
  leave(): void {
    const { stream } = this;
    if (stream === undefined || stream.closed || this.destroyed) return this.destroy();
    this.finish();
    const reset = () => stream.close(this.sentCode);
    const timer = setTimeout(reset, END_MS).unref();
    stream.once('close', () => clearTimeout(timer));
    stream.once('data', reset);
    stream.resume();
  }

  /** Nothing more will come on its session: without END_STREAM what it has is no answer. */
  cutOff(): void {
    if (!this.#isWhole) this.lose(constants.NGHTTP2_CANCEL);
  }

  #onHead(raw: RawFields, ends: boolean): void {
    if (this.destroyed) return;
    const { method } = this.#head as RequestHead;
    const head = this.readable(() => responseBytes(raw, method));
    if (head === undefined) return;
    const { status, bytes, chunked } = head;
    this.isUnanswered = status < 200;
    this.chunked = chunked && !ends;
    // What ends here is told as a whole, so that it may go on as a whole: gRPC tells a failure by a head alone.
    this.emit('data', chunked && ends ? Buffer.concat([bytes, LAST_CHUNK]) : bytes);
  }

  /**
   * Node ends what is read of a stream also where it was reset with NO_ERROR, and nothing but this tells the two apart: that
   * it is closed before its end is pushed.
   */
  #watchEnd(stream: ClientHttp2Stream): void {
    const push = stream.push.bind(stream);
    stream.push = (chunk, encoding) => {
      if (chunk === null && !stream.closed) this.#isWhole = true;
      return push(chunk, encoding);
    };
  }

  /** Without END_STREAM, whatever the code (RFC 9113 8.1.1); with it a server may have enough of the request (8.1). */
  protected isCut(): boolean {
    return !this.#isWhole;
  }
}
