import { EventEmitter } from 'node:events';
import { constants, type Http2Stream } from 'node:http2';
import type { TcpSocket } from '../../tcp/tcp-socket.ts';
import type { HeadLimits } from '../../wire/http1/fields.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK } from '../../wire/http1/writer.ts';
import { type RawFields, trailerBytes } from '../../wire/http2/fields.ts';
import { SentMessage, type TakenHead } from './sent-message.ts';
import { StreamReset } from './stream-reset.ts';

/** Heads that the gateway wrote itself: those that they were made from were held against the listener's limits. */
export const OWN_HEADS: HeadLimits = { bytes: 4 * 1024 ** 2, fields: 1_024 };

/**
 * One stream of an HTTP/2 session as a connection that carries one exchange in HTTP/1.1: what is written is read as a message
 * and sent in frames, and what comes in frames is told as the bytes of a message. So there is one path for data, and HTTP/2
 * is a matter of its edges.
 *
 * Flow control is the session's own: what is not read here opens no window, and what the peer's window has no room for makes
 * this socket want to drain.
 */
export abstract class StreamSocket extends EventEmitter implements TcpSocket {
  destroyed = false;
  readableEnded = false;
  writableEnded = false;
  timeout: number | undefined;
  /** Whether what comes is told in chunks. */
  protected chunked = false;
  /** Undefined before it was opened. */
  protected stream: Http2Stream | undefined;
  /** With what a stream is reset that is given up. */
  protected abstract readonly resetCode: number;
  /** The same, where all that was written was sent. */
  protected abstract readonly sentCode: number;
  #flowing = false;
  #trailersIn: Buffer = LAST_CHUNK;
  readonly #sent = new SentMessage({
    stream: () => this.stream,
    takeHead: (bytes) => this.takeHead(bytes),
    sendHead: (ends) => this.sendHead(ends),
  });
  #timer: NodeJS.Timeout | undefined;
  /** Whether the stream is over, all of it having come and gone, and nobody was told yet. */
  #over = false;

  /** As in `SentMessageTerms`. */
  protected abstract takeHead(bytes: Buffer): TakenHead | undefined;
  protected abstract sendHead(ends: boolean): void;
  /** Whether what has come of a stream that ended is not all of it. */
  protected abstract isCut(stream: Http2Stream): boolean;

  protected attach(stream: Http2Stream): void {
    this.stream = stream;
    if (!this.#flowing) stream.pause();
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('trailers', (_fields: unknown, _flags: number, raw: RawFields) =>
      this.#onTrailers(raw),
    );
    stream.on('wantTrailers', () => this.#sent.sendTrailers());
    stream.on('drain', () => {
      this.#moved();
      this.emit('drain');
    });
    // Told by `close`, with the code.
    stream.on('error', () => {});
    stream.on('aborted', () => this.isCut(stream) && this.#onGone(stream));
    stream.on('close', () => this.#onGone(stream));
  }

  get writableFinished(): boolean {
    return this.stream?.writableFinished === true;
  }

  get writableNeedDrain(): boolean {
    return this.stream?.writableNeedDrain === true;
  }

  pause(): void {
    this.#flowing = false;
    this.stream?.pause();
  }

  resume(): void {
    this.#flowing = true;
    this.stream?.resume();
  }

  write(bytes: Buffer): boolean {
    if (this.destroyed || this.writableEnded) return true;
    this.#moved();
    this.#sent.write(bytes);
    return !this.writableNeedDrain;
  }

  end(sent?: () => void): void {
    if (this.destroyed || this.writableEnded) return;
    this.writableEnded = true;
    if (!this.#sent.end()) return this.destroy();
    if (sent !== undefined) {
      if (this.writableFinished) queueMicrotask(sent);
      else this.stream?.once('finish', sent);
    }
    if (this.#over) this.finish();
  }

  destroy(): void {
    this.#reset(this.writableFinished ? this.sentCode : this.resetCode);
  }

  resetAndDestroy(): void {
    this.#reset(this.resetCode);
  }

  #reset(code: number): void {
    if (this.destroyed) return;
    this.finish();
    if (this.stream?.closed === false) this.stream.close(code);
    // What nobody reads would keep the stream.
    this.stream?.resume();
  }

  setTimeout(milliseconds: number): void {
    this.timeout = milliseconds;
    clearTimeout(this.#timer);
    if (milliseconds === 0 || this.destroyed) return;
    this.#timer = setTimeout(() => this.emit('timeout'), milliseconds).unref();
  }

  #moved(): void {
    this.#timer?.refresh();
  }

  readonly #onData = (payload: Buffer): void => {
    if (this.destroyed) return;
    this.#moved();
    // In one piece: whoever reads at the pace of another is paced by each.
    const bytes = this.chunked
      ? Buffer.concat([chunkHead(payload.length), payload, CHUNK_END])
      : payload;
    this.emit('data', bytes);
  };

  readonly #onEnd = (): void => {
    // A stream that was reset ends as well.
    if (this.destroyed || this.isCut(this.stream as Http2Stream)) return;
    if (this.chunked) this.emit('data', this.#trailersIn);
    this.readableEnded = true;
    this.emit('end');
  };

  #onTrailers(raw: RawFields): void {
    this.#trailersIn = this.readable(() => trailerBytes(raw)) ?? this.#trailersIn;
  }

  /** What is read of the peer's fields. Undefined where they are malformed: then the stream is lost. */
  protected readable<Read>(read: () => Read): Read | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.lose(constants.NGHTTP2_PROTOCOL_ERROR);
      return undefined;
    }
  }

  #onGone(stream: Http2Stream): void {
    if (this.destroyed || this.#over) return;
    if (!this.readableEnded || this.isCut(stream)) return this.lose(stream.rstCode);
    // A connection would still be there: whoever has it may not have read all of it.
    this.#over = true;
    if (this.writableEnded) this.finish();
  }

  /** It is of no further use, of which whoever has it is told. @param code why */
  protected lose(code: number): void {
    if (this.destroyed) return;
    this.emit('error', new StreamReset(code));
    this.#reset(code);
  }

  /** Nobody has it any more. */
  protected finish(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    clearTimeout(this.#timer);
    queueMicrotask(() => this.emit('close'));
  }
}
