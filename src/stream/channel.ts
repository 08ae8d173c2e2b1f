import { TLSSocket } from 'node:tls';
import { SekishoError } from '../core/errors.ts';
import type { TcpSocket } from '../tcp/tcp-socket.ts';
import { StreamReset } from './http2/stream-reset.ts';
import { pace } from './pace.ts';

/** The connection broke, or was idle for too long, while somebody waited for bytes of it. */
export class ChannelLost extends SekishoError {
  declare readonly code: 'reset' | 'idle' | 'too-slow' | 'abandoned';

  constructor(code: 'reset' | 'idle' | 'too-slow' | 'abandoned', options?: ErrorOptions) {
    super(code, `the connection is lost: ${code}`, options);
    this.name = 'ChannelLost';
  }

  /** Whether the peer says that it has done nothing with what was asked of it. */
  get isUnprocessed(): boolean {
    return this.cause instanceof StreamReset && this.cause.isUnprocessed;
  }

  /** Whether the peer, which was asked by HTTP/2, wants to be asked by HTTP/1.1. */
  get needsHttp1(): boolean {
    return this.cause instanceof StreamReset && this.cause.needsHttp1;
  }
}

/** One for all: every tunnel whose ClientHello came abandons a take, and a stack trace is a twentieth of what it costs. */
const ABANDONED = new ChannelLost('abandoned');

interface Taker {
  readonly step: (chunk: Buffer) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A socket whose bytes are taken piece by piece: a head, a body, a greeting. One taker at a time.
 *
 * Bytes that nobody takes stay here: at most one read of the socket, since reading stops until the next taker comes.
 * The owner of a channel always learns of its end: by the take that is waiting, or by `onLost`.
 */
export class Channel {
  readonly socket: TcpSocket;
  #taker: Taker | undefined;
  #pending: Buffer | undefined;
  #ended = false;
  #lost: ChannelLost | undefined;
  #onLost: (() => void) | undefined;
  /** Of the take that is waiting. */
  #deadline: NodeJS.Timeout | undefined;
  #draining: PromiseWithResolvers<void> | undefined;
  #released = false;
  /** Whether something else limits how long nothing may move. */
  #patient = false;
  /** Whether the timer ran out meanwhile. */
  #overdue = false;
  /** What waits to be written as one piece. */
  #together: Buffer[] | undefined;

  /** @param idleMs how long nothing may move in either direction before the connection is given up */
  constructor(socket: TcpSocket, idleMs: number) {
    this.socket = socket;
    socket.setTimeout(idleMs);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    socket.on('timeout', this.#onTimeout);
  }

  /** Whether the connection can no longer be used. */
  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** Whether the peer sent bytes that nobody has taken, or its FIN: not a connection to keep for later. */
  get disturbed(): boolean {
    return this.#pending !== undefined || this.#ended || this.lost;
  }

  /**
   * Gives every chunk to `step` until it returns something else than undefined, which is then the result; undefined at
   * the peer's FIN. What `step` does not use it hands back with `unread`.
   *
   * @param withinMs how long that may take, however much moves; undefined: the idle limit alone counts, or `hurry`
   * @throws ChannelLost, or what `step` throws
   */
  take<T>(step: (chunk: Buffer) => T | undefined, withinMs?: number): Promise<T | undefined> {
    return new Promise<T | undefined>((resolve, reject) => {
      if (this.#lost) return reject(this.#lost);
      this.#taker = { step, resolve: resolve as (value: never) => void, reject };
      const chunk = this.#pending;
      this.#pending = undefined;
      if (chunk !== undefined) this.#offer(chunk);
      if (this.#taker === undefined) return;
      if (this.#ended) return this.#settle((taker) => taker.resolve(undefined as never));
      if (withinMs !== undefined) this.hurry(withinMs);
      this.socket.resume();
    });
  }

  /** The take that is waiting must come to its end within this time from now. A limit that it has already stays. */
  hurry(withinMs: number): void {
    this.#deadline ??= setTimeout(() => this.abandon('too-slow'), withinMs);
  }

  /** Gives `step` what is there already, without waiting. @throws what `step` throws */
  takeReady(step: (chunk: Buffer) => unknown): void {
    const chunk = this.#pending;
    this.#pending = undefined;
    if (chunk !== undefined) step(chunk);
  }

  /** Puts bytes back in front of all that is still to come. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#pending = this.#pending === undefined ? bytes : Buffer.concat([bytes, this.#pending]);
  }

  /** Ends a take that is waiting, because its result is no longer wanted. */
  abandon(code: 'abandoned' | 'too-slow' = 'abandoned'): void {
    if (this.#taker === undefined) return;
    const error = code === 'abandoned' ? ABANDONED : new ChannelLost(code);
    this.#settle((taker) => taker.reject(error));
  }

  /** Calls once at whatever comes next of a connection that nobody uses: bytes, which are dropped, its FIN, its loss. */
  watch(disturbed: () => void): void {
    this.#taker = { step: () => true, resolve: disturbed, reject: disturbed };
    this.socket.resume();
  }

  /** It is used again. */
  unwatch(): void {
    this.#taker = undefined;
  }

  /** Called once when the connection breaks; not at an orderly FIN. */
  onLost(listener: (() => void) | undefined): void {
    this.#onLost = listener;
    if (this.lost) listener?.();
  }

  write(bytes: Buffer): void {
    if (this.#together === undefined) this.socket.write(bytes);
    else this.#together.push(bytes);
  }

  /** What is written while `work` runs goes out as one piece: each by itself is a system call and a packet. */
  together<T>(work: () => T): T {
    if (this.#together !== undefined) return work();
    const pieces: Buffer[] = [];
    this.#together = pieces;
    try {
      return work();
    } finally {
      this.#together = undefined;
      const [only] = pieces;
      if (only !== undefined) this.socket.write(pieces.length === 1 ? only : Buffer.concat(pieces));
    }
  }

  /** How long nothing may move from now on; 0: for ever, while something else limits the time. */
  limitIdle(idleMs: number): void {
    if (this.#released) return;
    this.#patient = idleMs === 0;
    // Whatever moves starts the socket's timer anew; to set another for every request costs more than to parse it.
    if (this.#patient || (idleMs === this.socket.timeout && !this.#overdue)) return;
    this.#overdue = false;
    this.socket.setTimeout(idleMs);
  }

  /** Whether the peer has so much to take that nothing more should be written. */
  get isFull(): boolean {
    return this.socket.writableNeedDrain;
  }

  /** Resolves once it is full no longer. @throws ChannelLost */
  drained(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    if (this.#draining === undefined) {
      this.#draining = Promise.withResolvers();
      this.socket.once('drain', () => {
        this.#draining?.resolve();
        this.#draining = undefined;
      });
    }
    return this.#draining.promise;
  }

  /** Reads no faster than `to` sends, to which a piece of this size was just written, and not before all others. */
  paceTo(to: Channel, pieceBytes: number): void {
    pace(this.socket, to.socket, pieceBytes, () => {
      if (this.#taker !== undefined) this.socket.resume();
    });
  }

  /** Takes the socket out of this channel's hands, with the bytes that nobody has taken. */
  release(): { socket: TcpSocket; early: Buffer | undefined } {
    const { socket } = this;
    this.#released = true;
    socket.pause();
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    socket.off('timeout', this.#onTimeout);
    return { socket, early: this.#pending };
  }

  /**
   * Sends what is buffered, as long as the idle limit lets the peer take for it, then FIN; the rest of what the peer
   * sends is read and dropped until it closes too.
   */
  end(): void {
    if (this.#released || this.socket.destroyed) return;
    // Not read before all is sent: a peer that sends and does not take would never be idle.
    this.socket.pause();
    this.socket.end(() => this.#linger());
  }

  #linger(): void {
    if (this.socket.destroyed) return;
    this.#taker = { step: () => undefined, resolve: () => {}, reject: () => {} };
    this.#pending = undefined;
    this.socket.resume();
    // Absolute, so that a peer that never stops sending cannot hold the connection.
    const linger = setTimeout(() => this.socket.destroy(), LINGER_MS);
    this.socket.once('close', () => clearTimeout(linger));
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Ends with a reset, where a FIN would pass for an orderly end. TLS tells the two apart by itself. */
  cut(): void {
    if (this.socket instanceof TLSSocket) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  #offer(chunk: Buffer): void {
    try {
      const result = this.#taker?.step(chunk);
      if (result !== undefined) this.#settle((taker) => taker.resolve(result as never));
    } catch (error) {
      this.#settle((taker) => taker.reject(error as Error));
    }
  }

  #settle(how: (taker: Taker) => void): void {
    const taker = this.#taker;
    this.#taker = undefined;
    if (this.#deadline !== undefined) {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
    }
    if (taker !== undefined) how(taker);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#taker !== undefined) return this.#offer(chunk);
    this.#pending = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    this.socket.pause();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#settle((taker) => taker.resolve(undefined as never));
  };

  readonly #onError = (error: Error): void =>
    this.#lose(new ChannelLost('reset', { cause: error }));
  readonly #onClose = (): void => this.#lose(new ChannelLost('reset'));
  readonly #onTimeout = (): void => {
    this.#overdue = this.#patient;
    if (this.#patient) return;
    this.#lose(new ChannelLost('idle'));
    this.socket.destroy();
  };

  #lose(lost: ChannelLost): void {
    if (this.#lost !== undefined) return;
    this.#lost = lost;
    this.#settle((taker) => taker.reject(lost));
    this.#draining?.reject(lost);
    this.#onLost?.();
  }
}

/** How long a peer may go on sending after we said our last word, so that it can still read it (RFC 9112 9.6). */
const LINGER_MS = 2_000;
