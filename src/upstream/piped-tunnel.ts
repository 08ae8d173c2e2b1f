import type { TunnelEnd } from '../core/conversation.ts';
import type { BodyChange } from '../core/injection.ts';
import type { Trouble } from '../core/reasons.ts';
import { UpstreamError } from '../core/refusal.ts';
import { pace } from '../stream/pace.ts';
import type { TcpSocket } from '../tcp/tcp-socket.ts';
import type { Ends, TunnelTerms } from './tunnel-ends.ts';

/** Passes bytes in JavaScript: any two sockets, in whatever state they are. */
export function pipedTunnel(ends: Ends, terms: TunnelTerms): Promise<TunnelEnd> {
  const { idleMs, onOpen, down } = terms;
  return new Promise((resolve) => {
    const relay = new Relay(ends, down, resolve);
    onOpen(() => relay.breakOff());
    relay.start(ends, idleMs);
  });
}

class Relay {
  readonly #client: TcpSocket;
  readonly #upstream: TcpSocket;
  readonly #done: (end: TunnelEnd) => void;
  readonly #change: BodyChange | undefined;
  #bytesUp = 0;
  #bytesDown = 0;
  #error: Trouble | null = null;
  #detail: string | undefined;
  #broken = false;
  #open = 2;

  constructor(
    { client, upstream }: Ends,
    down: BodyChange | undefined,
    done: (end: TunnelEnd) => void,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#change = down;
    this.#done = done;
  }

  start({ earlyUp, earlyDown }: Ends, idleMs: number): void {
    this.#watch(this.#client, this.#upstream, 'client-reset', idleMs);
    this.#watch(this.#upstream, this.#client, 'upstream-reset', idleMs);
    for (const chunk of earlyUp) this.#up(chunk);
    for (const chunk of earlyDown) this.#down(chunk);
    // A FIN that came before the tunnel began is passed on only after the bytes that preceded it.
    if (this.#client.readableEnded) this.#upstream.end();
    if (this.#upstream.readableEnded) this.#passEnd(this.#client);
    this.#client.on('data', this.#up);
    this.#upstream.on('data', this.#down);
    this.#client.resume();
    this.#upstream.resume();
  }

  #watch(socket: TcpSocket, other: TcpSocket, reset: Trouble, idleMs: number): void {
    if (socket.destroyed) return this.#closed(socket, other);
    // What passes counts as activity on both sockets, so either one's timeout means that nothing moves at all.
    socket.setTimeout(idleMs);
    socket.on('timeout', () => this.#break('idle-timeout'));
    socket.on('error', () => this.#break(reset));
    socket.on('end', () => this.#passEnd(other));
    socket.on('close', () => this.#closed(socket, other));
  }

  readonly #up = (chunk: Buffer): void => {
    this.#bytesUp += chunk.length;
    this.#pass(chunk, this.#client, this.#upstream);
  };

  readonly #down = (chunk: Buffer): void => {
    if (this.#upstream.destroyed) return;
    this.#bytesDown += chunk.length;
    const changed = this.#changed(chunk);
    if (changed !== undefined) this.#pass(changed, this.#upstream, this.#client);
  };

  /** Undefined where it cannot go on: then nothing does any more. */
  #changed(chunk: Buffer): Buffer | undefined {
    try {
      return this.#change === undefined ? chunk : this.#change.push(chunk);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      this.#detail ??= error.message;
      this.#break(error.code);
      return undefined;
    }
  }

  #passEnd(to: TcpSocket): void {
    const rest = to === this.#client ? this.#change?.end() : undefined;
    if (rest !== undefined && rest.length > 0) to.write(rest);
    to.end();
  }

  #pass(chunk: Buffer, from: TcpSocket, to: TcpSocket): void {
    to.write(chunk);
    pace(from, to, chunk.length, () => from.resume());
  }

  breakOff(): void {
    this.#broken = true;
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #break(error: Trouble): void {
    this.#error ??= error;
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #closed(socket: TcpSocket, other: TcpSocket): void {
    // Closed without having been read to its end: there is nobody left to relay for.
    if (!this.#broken && (!socket.readableEnded || !socket.writableFinished)) {
      this.#break(socket === this.#client ? 'client-reset' : 'upstream-reset');
    }
    other.resume();
    this.#open--;
    if (this.#open > 0) return;
    const detail = this.#detail;
    this.#done({
      error: this.#error,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      ...(detail !== undefined && { detail }),
    });
  }
}
