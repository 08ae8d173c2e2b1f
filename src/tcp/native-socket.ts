import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { SocketsAddon } from './addon.ts';
import type { TcpSocket } from './tcp-socket.ts';

/** What goes on with a connection that was taken out of its socket. */
export interface Successor {
  readonly ended: Promise<void>;
  /** Ends the connection at once. */
  destroy(): void;
}

/** A connection that the native part has. It begins paused, and to listen to it does not make it flow. */
export class NativeSocket extends EventEmitter implements TcpSocket {
  readonly #addon: SocketsAddon;
  readonly #id: number;
  readonly #all: (NativeSocket | undefined)[];
  #flowing = false;
  /** Received while nobody wanted it: what one turn brought, at most. */
  #kept: Buffer | undefined;
  /** The peer's FIN came, and was not told. */
  #endWaits = false;
  #sent: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Once it was detached: whoever waits for the end of the connection waits for this one's. */
  successor: Successor | undefined;
  timeout: number | undefined;
  destroyed = false;
  readableEnded = false;
  writableEnded = false;
  writableFinished = false;
  writableNeedDrain = false;

  /**
   * @param id negative: it could not be opened, and `failed` is to be called
   * @param all by id, among which it is as long as it is open
   */
  constructor(addon: SocketsAddon, id: number, all: (NativeSocket | undefined)[]) {
    super();
    this.#addon = addon;
    this.#id = id;
    this.#all = all;
    if (id >= 0) all[id] = this;
  }

  pause(): void {
    if (!this.#flowing) return;
    this.#flowing = false;
    this.#addon.pause(this.#id);
  }

  resume(): void {
    if (this.#flowing || this.destroyed) return;
    this.#flowing = true;
    this.#addon.resume(this.#id);
    if (this.#kept !== undefined || this.#endWaits) queueMicrotask(this.#tellKept);
  }

  write(bytes: Buffer): boolean {
    if (this.destroyed || this.writableEnded || this.#addon.write(this.#id, bytes)) return true;
    this.writableNeedDrain = true;
    return false;
  }

  end(sent?: () => void): void {
    if (this.destroyed || this.writableEnded) return;
    this.writableEnded = true;
    this.#sent = sent;
    if (this.#addon.finish(this.#id)) queueMicrotask(() => this.finished());
  }

  destroy(): void {
    this.#close(false);
  }

  resetAndDestroy(): void {
    this.#close(true);
  }

  setTimeout(milliseconds: number): void {
    this.timeout = milliseconds;
    clearTimeout(this.#timer);
    if (milliseconds > 0 && !this.destroyed) this.#startTimer(milliseconds);
  }

  /** Whether it can be taken out of here: open to both sides, with nothing left to send. */
  get isWhole(): boolean {
    return !this.destroyed && !this.writableEnded && !this.writableNeedDrain;
  }

  /**
   * Takes the connection out of here: the socket is closed, its connection is not.
   *
   * @returns its descriptor and what was received already; undefined where something is still to be sent, or it is ended
   */
  detach(): { readonly fd: number; readonly early: Buffer | undefined } | undefined {
    if (!this.isWhole) return undefined;
    const fd = this.#addon.detach(this.#id);
    if (fd < 0) return undefined;
    const early = this.#kept;
    this.#end();
    return { fd, early };
  }

  received(bytes: Buffer): void {
    if (this.#flowing && this.#kept === undefined) this.emit('data', bytes);
    else this.#kept = this.#kept === undefined ? bytes : Buffer.concat([this.#kept, bytes]);
  }

  ended(): void {
    if (this.#flowing && this.#kept === undefined) this.#tellEnd();
    else this.#endWaits = true;
  }

  connected(): void {
    this.emit('connect');
  }

  drained(): void {
    this.writableNeedDrain = false;
    this.emit('drain');
  }

  /** All is sent, FIN too. */
  finished(): void {
    if (this.destroyed) return;
    this.writableFinished = true;
    this.#sent?.();
    this.#closeWhenDone();
  }

  failed(errno: number, syscall: 'bind' | 'connect' | 'read'): void {
    if (this.destroyed) return;
    const code = getSystemErrorName(-errno);
    this.#close(false);
    this.emit('error', Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall }));
  }

  readonly #tellKept = (): void => {
    if (!this.#flowing || this.destroyed) return;
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept !== undefined) this.emit('data', kept);
    if (this.#endWaits && this.#flowing) this.#tellEnd();
  };

  #tellEnd(): void {
    if (this.readableEnded || this.destroyed) return;
    this.readableEnded = true;
    this.emit('end');
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (this.readableEnded && this.writableFinished) this.#close(false);
  }

  #close(reset: boolean): void {
    if (this.destroyed) return;
    this.#addon.close(this.#id, reset);
    this.#end();
  }

  #end(): void {
    this.destroyed = true;
    if (this.#id >= 0) this.#all[this.#id] = undefined;
    this.#flowing = false;
    this.#kept = undefined;
    clearTimeout(this.#timer);
    queueMicrotask(() => this.emit('close'));
  }

  #startTimer(milliseconds: number): void {
    this.#timer = setTimeout(this.#onTimer, milliseconds).unref();
  }

  readonly #onTimer = (): void => {
    const left = (this.timeout ?? 0) - this.#addon.quiet(this.#id);
    if (left <= 0) this.emit('timeout');
    else this.#startTimer(left);
  };
}

/**
 * As a socket of Node's, for what only those can do: TLS.
 *
 * @param early what was taken from it, and is to be read again
 */
export function nodeSocket(socket: TcpSocket, early: Buffer | undefined): Socket {
  const node = socket instanceof NativeSocket ? converted(socket) : (socket as Socket);
  if (early !== undefined) node.unshift(early);
  return node;
}

function converted(socket: NativeSocket): Socket {
  const detached = socket.detach();
  if (detached === undefined) throw new TypeError('it is ended, or has something to send');
  const { fd, early } = detached;
  const node = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  node.pause();
  if (early !== undefined) node.unshift(early);
  const ended = new Promise<void>((resolve) => node.once('close', () => resolve()));
  socket.successor = { ended, destroy: () => node.destroy() };
  return node;
}
