import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { Refusal } from '../../core/refusal.ts';
import { Channel } from '../../stream/channel.ts';
import { ServerStream } from '../../stream/http2/server-stream.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import { parseRequestHead, type RequestHead } from '../../wire/http1/request-head.ts';
import type { RawFields } from '../../wire/http2/fields.ts';
import { requestBytes } from '../../wire/http2/request.ts';
import { type Client, MAX_FIELDS, type ProxyContext } from './client.ts';
import type { Drain } from './drain.ts';
import type { Rejection } from './rejection.ts';

/** Streams that a client may have open at a time (RFC 9113 6.5.2 wants no fewer). */
const MAX_STREAMS = 100;
/** Exchanges of a session that may be under way, those included whose streams were reset (CVE-2023-44487). */
const MAX_RUNNING = 2 * MAX_STREAMS;
/** What a client may send on one stream before it is read. All of it may come to be held here, times the streams. */
const STREAM_WINDOW = 128 * 1024;
/** Whatever comes is taken from this one at once, so that no stream that stands still holds up the others. */
const SESSION_WINDOW = 1024 * 1024;
/** How long a client may take to close a session that is over. */
const LINGER_MS = 2_000;

export interface SessionTerms {
  readonly client: Client;
  readonly proxy: ProxyContext;
  readonly drain: Drain;
}

/** Runs the exchange of a request, whose head is whole, or of what is none. */
export type AnswerStream = (stream: Client, head: RequestHead | Refusal) => Promise<void>;

/**
 * Serves an HTTP/2 session inside a tunnel: each stream is an exchange of its own.
 *
 * @returns why there was not even one, once the session has ended
 */
export function serveSession(
  secure: TLSSocket,
  terms: SessionTerms,
  answer: AnswerStream,
): Promise<Rejection | undefined> {
  return new Session(secure, terms, answer).serve();
}

class Session {
  readonly #secure: TLSSocket;
  readonly #terms: SessionTerms;
  readonly #answer: AnswerStream;
  readonly #session: ServerHttp2Session;
  readonly #ended = Promise.withResolvers<Rejection | undefined>();
  #running = 0;
  #isUsed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(secure: TLSSocket, terms: SessionTerms, answer: AnswerStream) {
    this.#secure = secure;
    this.#terms = terms;
    this.#answer = answer;
    this.#session = performServerHandshake(secure, {
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: terms.proxy.config.limits.headBytes,
        initialWindowSize: STREAM_WINDOW,
        enableConnectProtocol: false,
      },
      maxHeaderListPairs: MAX_FIELDS,
      strictSingleValueFields: false,
    });
    // Of a socket that no server of Node's accepted, it waits to be told that the handshake is done.
    secure.emit('secureConnect');
  }

  async serve(): Promise<Rejection | undefined> {
    const { drain, proxy } = this.#terms;
    const place = drain.waiting.add(this);
    const session = this.#session;
    session.setLocalWindowSize(SESSION_WINDOW);
    session.on('stream', (stream, _fields, flags, raw: RawFields) =>
      this.#accept(stream, raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0),
    );
    // What breaks a session closes it, and with it every stream.
    session.on('error', () => {});
    session.on('close', () => this.#ended.resolve(this.#rejection()));
    // Nothing comes behind a FIN, of which Node tells a session whose socket may be half open nothing.
    this.#secure.once('end', () => this.#secure.destroy());
    // Whoever connects has something to say.
    this.#endAfter(proxy.config.timeouts.headMs);
    if (drain.begun) this.abandon();
    try {
      return await this.#ended.promise;
    } finally {
      clearTimeout(this.#timer);
      drain.waiting.delete(place);
      this.#secure.destroy();
    }
  }

  /** No more requests are wanted: the client is told so, and those under way go on. */
  abandon(): void {
    if (!this.#session.closed) this.#session.close();
    if (this.#running === 0) this.#linger();
  }

  /** A client that does not read would never see the end. */
  #linger(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#secure.destroy(), LINGER_MS);
  }

  #endAfter(milliseconds: number): void {
    this.#timer = setTimeout(() => this.abandon(), milliseconds);
  }

  #rejection(): Rejection | undefined {
    if (this.#isUsed || this.#session.closed === false) return undefined;
    return this.#terms.drain.begun ? undefined : 'closed-before-a-byte';
  }

  #accept(stream: ServerHttp2Stream, raw: RawFields, ended: boolean): void {
    this.#isUsed = true;
    if (this.#running >= MAX_RUNNING || this.#session.closed) {
      stream.on('error', () => {});
      return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    }
    clearTimeout(this.#timer);
    this.#running++;
    this.#serveStream(stream, raw, ended).then(
      () => this.#left(),
      (error: unknown) => {
        this.#ended.reject(error);
        this.#session.destroy();
      },
    );
  }

  async #serveStream(stream: ServerHttp2Stream, raw: RawFields, ended: boolean): Promise<void> {
    const { client, proxy } = this.#terms;
    const { limits, timeouts } = proxy.config;
    const head = headOf(raw, ended, limits.headBytes);
    const isHead = !(head instanceof Refusal);
    const chunked = isHead && head.fields.has('transfer-encoding');
    const socket = new ServerStream(stream, isHead ? head.method : 'GET', chunked);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const channel = new Channel(socket, timeouts.idleMs);
    await this.#answer({ ...client, channel, protocol: 'h2' }, head);
    channel.end();
    await closed;
  }

  #left(): void {
    this.#running--;
    if (this.#session.destroyed) return;
    const { proxy, drain } = this.#terms;
    if (proxy.leaving() || drain.begun || this.#session.closed) this.abandon();
    else if (this.#running === 0) this.#endAfter(proxy.config.timeouts.idleMs);
  }
}

function headOf(raw: RawFields, ended: boolean, limit: number): RequestHead | Refusal {
  try {
    const bytes = requestBytes(raw, ended);
    if (bytes.length > limit) {
      throw new FramingError('head-too-large', `the head is longer than ${limit} bytes`);
    }
    return parseRequestHead(bytes, { bytes: limit, fields: MAX_FIELDS });
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    return new Refusal('request-invalid', error.message);
  }
}
