import { type ClientHttp2Session, connect } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Connection } from '../core/conversation.ts';
import { UpstreamError } from '../core/refusal.ts';
import { Channel } from '../stream/channel.ts';
import { ClientStream } from '../stream/http2/client-stream.ts';
import type { StreamReset } from '../stream/http2/stream-reset.ts';
import type { Dialled } from './way-out.ts';

/** Exchanges on one session, however many more the destination would take. */
const MAX_STREAMS = 100;
/** What a destination may send on one stream before it is read. All of it may come to be held here, times the streams. */
const STREAM_WINDOW = 256 * 1024;
/** Whatever comes is taken from this one at once, so that no exchange that stands still holds up the others. */
const SESSION_WINDOW = 4 * 1024 * 1024;
/** As much as `limits.head` can be: that holds for what comes out of here. */
const MAX_HEAD = 1024 * 1024;
const MAX_FIELDS = 256;
/** How long a destination that gave no answer may take for one to a PING, before nothing more is asked of its session. */
const PING_MS = 5_000;

/** How long what came before the FIN of a destination may take to be looked at. */
const FIN_MS = 100;

const OPTIONS = {
  settings: {
    enablePush: false,
    initialWindowSize: STREAM_WINDOW,
    maxHeaderListSize: MAX_HEAD,
  },
  maxHeaderListPairs: MAX_FIELDS,
  // A field that stands twice goes on as it came.
  strictSingleValueFields: false,
};

type Route = Pick<Dialled, 'address' | 'parent'>;

export interface SessionTerms {
  /** For what is to come before the first request. */
  readonly timeoutMs: number;
  /** For each exchange: how long nothing may move. */
  readonly idleMs: number;
}

export interface SessionEvents {
  /** No exchange is on it any more. */
  idle(): void;
  /** It takes no more exchanges, be it that some go on. */
  retired(): void;
  /** The destination wants to be asked by HTTP/1.1. */
  http1Required(): void;
}

/** An HTTP/2 connection to a destination: several exchanges at a time, of which each has a stream. */
export class UpstreamSession {
  readonly route: Route;
  events: SessionEvents | undefined;
  readonly #session: ClientHttp2Session;
  readonly #idleMs: number;
  readonly #streams = new Set<ClientStream>();
  #isRetired = false;
  #isDoubtful = false;

  private constructor(session: ClientHttp2Session, route: Route, idleMs: number) {
    this.route = route;
    this.#session = session;
    this.#idleMs = idleMs;
    session.on('goaway', () => this.retire());
    session.on('close', () => this.retire());
  }

  /**
   * Resolves once the destination has told what it takes.
   *
   * @throws UpstreamError `connect-failed`, `connect-timeout`; the connection is closed then
   */
  static async open(
    secure: TLSSocket,
    route: Route,
    terms: SessionTerms,
  ): Promise<UpstreamSession> {
    const session = connect('https://destination.invalid', {
      ...OPTIONS,
      createConnection: () => secure,
    });
    // What breaks a session closes it, and with it every stream.
    session.on('error', () => {});
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (code: 'connect-failed' | 'connect-timeout', why: string) =>
      reject(new UpstreamError(code, `no HTTP/2 session: ${why}`));
    const timer = setTimeout(() => fail('connect-timeout', 'no SETTINGS in time'), terms.timeoutMs);
    session.once('remoteSettings', () => resolve());
    const closed = () => fail('connect-failed', 'the destination closed');
    session.once('close', closed);
    secure.once('end', closed);
    try {
      await promise;
    } catch (error) {
      session.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    session.setLocalWindowSize(SESSION_WINDOW);
    const opened = new UpstreamSession(session, route, terms.idleMs);
    if (secure.readableEnded) opened.#onFin();
    else secure.once('end', () => opened.#onFin());
    return opened;
  }

  get hasRoom(): boolean {
    const { maxConcurrentStreams = MAX_STREAMS } = this.#session.remoteSettings;
    const most = Math.min(MAX_STREAMS, maxConcurrentStreams);
    const isOpen = !this.#isRetired && !this.#session.closed && !this.#session.destroyed;
    return isOpen && !this.#isDoubtful && this.#streams.size < most;
  }

  /** Exchanges that are under way. */
  get streams(): number {
    return this.#streams.size;
  }

  /** A connection for one exchange. */
  connection(reused: boolean): Connection<Channel> {
    const socket = new ClientStream(this.#session);
    this.#streams.add(socket);
    let isGivenBack = false;
    socket.once('close', () => this.#left(socket, isGivenBack));
    // Before whoever has it is told, and asks again.
    socket.once('error', (error: StreamReset) => {
      if (!error.needsHttp1) return;
      this.events?.http1Required();
      this.retire();
    });
    const giveBack = () => {
      isGivenBack = true;
      socket.leave();
    };
    const stream = new Channel(socket, this.#idleMs);
    return { ...this.route, stream, protocol: 'h2', reused, giveBack };
  }

  #left(socket: ClientStream, isGivenBack: boolean): void {
    this.#streams.delete(socket);
    // An exchange that ended in order and gives nothing back says that nobody is to be on this connection any more.
    if (socket.readableEnded && !isGivenBack) this.retire();
    else if (socket.isUnanswered) this.#doubt();
    if (this.#streams.size > 0) return;
    if (this.#isRetired) this.#session.destroy();
    else this.events?.idle();
  }

  /** Nothing comes behind it, of which Node tells a session nothing where its socket may be half open. What came whole goes on. */
  #onFin(): void {
    this.retire();
    // While it writes, Node leaves what came lying, and takes it up later.
    const cutOff = () => {
      for (const socket of this.#streams) socket.cutOff();
    };
    setTimeout(cutOff, FIN_MS).unref();
  }

  /** Whether anybody is there at all: until that is told, no exchange begins. */
  #doubt(): void {
    if (this.#isDoubtful || this.#isRetired) return;
    this.#isDoubtful = true;
    const timer = setTimeout(() => this.retire(), PING_MS).unref();
    const isSent = this.#session.ping((error) => {
      clearTimeout(timer);
      this.#isDoubtful = false;
      if (error !== null) this.retire();
    });
    if (!isSent) this.retire();
  }

  /** Begins no more exchanges; those that are under way go on. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.events?.retired();
    if (this.#streams.size === 0) this.#session.destroy();
  }

  destroy(): void {
    this.#isRetired = true;
    this.#session.destroy();
  }
}
