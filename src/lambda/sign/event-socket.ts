import { EventEmitter } from 'node:events';
import type { Trouble } from '../../core/reasons.ts';
import type { TcpSocket } from '../../tcp/tcp-socket.ts';

/**
 * Stands for the connection of a client that sends one request and takes the answer: there is none in a function, which is
 * given an event. All that a gateway does on a connection is thus done on an event.
 */
export class EventSocket extends EventEmitter implements TcpSocket {
  readonly #request: Buffer;
  readonly #limit: number;
  readonly #answered = Promise.withResolvers<Buffer | undefined>();
  #pieces: Buffer[] = [];
  #length = 0;
  #sent = false;
  #brokenBy: Trouble | undefined;
  destroyed = false;
  readableEnded = false;
  writableEnded = false;
  writableFinished = false;
  readonly writableNeedDrain = false;

  /** @param limit of the answer, in bytes: beyond it the connection breaks */
  constructor(request: Buffer, limit: number) {
    super();
    this.#request = request;
    this.#limit = limit;
  }

  /** The whole answer; undefined where it was cut. */
  get answered(): Promise<Buffer | undefined> {
    return this.#answered.promise;
  }

  /** What is there of it. */
  get written(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  /** Why the function itself broke it off. */
  get brokenBy(): Trouble | undefined {
    return this.#brokenBy;
  }

  breakOff(why: Trouble): void {
    if (this.destroyed) return;
    this.#brokenBy = why;
    this.destroy();
  }

  pause(): void {}

  resume(): void {
    if (this.#sent) return;
    this.#sent = true;
    queueMicrotask(() => {
      if (!this.destroyed) this.emit('data', this.#request);
      if (this.destroyed) return;
      this.readableEnded = true;
      this.emit('end');
    });
  }

  write(bytes: Buffer): boolean {
    if (this.destroyed || this.writableEnded) return true;
    this.#length += bytes.length;
    if (this.#length > this.#limit) this.breakOff('response-too-large');
    else this.#pieces.push(bytes);
    return true;
  }

  end(sent?: () => void): void {
    if (this.destroyed || this.writableEnded) return;
    this.writableEnded = true;
    this.writableFinished = true;
    this.#answered.resolve(Buffer.concat(this.#pieces));
    queueMicrotask(() => {
      sent?.();
      this.destroy();
    });
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#pieces = [];
    this.#answered.resolve(undefined);
    queueMicrotask(() => this.emit('close'));
  }

  resetAndDestroy(): void {
    this.destroy();
  }

  /** What limits the time is the function's own. */
  setTimeout(): void {}
}
