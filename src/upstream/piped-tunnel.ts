import type { TunnelEnd } from '../core/conversation.ts';
import type { Trouble } from '../core/reasons.ts';
import { pace } from '../stream/pace.ts';
import type { TcpSocket } from '../tcp/tcp-socket.ts';
import type { Ends, TunnelTerms } from './tunnel-ends.ts';

/** Passes bytes in JavaScript: any two sockets, in whatever state they are. */
export function pipedTunnel(ends: Ends, { idleMs, onOpen }: TunnelTerms): Promise<TunnelEnd> {
  return new Promise((resolve) => {
    const relay = new Relay(ends.client, ends.upstream, resolve);
    onOpen(() => relay.breakOff());
    relay.start(ends, idleMs);
  });
}

class Relay {
  readonly #client: TcpSocket;
  readonly #upstream: TcpSocket;
  readonly #done: (end: TunnelEnd) => void;
  #bytesUp = 0;
  #bytesDown = 0;
  #error: Trouble | null = null;
  #broken = false;
  #open = 2;

  constructor(client: TcpSocket, upstream: TcpSocket, done: (end: TunnelEnd) => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#done = done;
  }

  start({ earlyUp, earlyDown }: Ends, idleMs: number): void {
    this.#watch(this.#client, this.#upstream, 'client-reset', idleMs);
    this.#watch(this.#upstream, this.#client, 'upstream-reset', idleMs);
    for (const chunk of earlyUp) this.#up(chunk);
    for (const chunk of earlyDown) this.#down(chunk);
    // A FIN that came before the tunnel began is passed on only after the bytes that preceded it.
    if (this.#client.readableEnded) this.#upstream.end();
    if (this.#upstream.readableEnded) this.#client.end();
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
    socket.on('end', () => other.end());
    socket.on('close', () => this.#closed(socket, other));
  }

  readonly #up = (chunk: Buffer): void => {
    this.#bytesUp += chunk.length;
    this.#pass(chunk, this.#client, this.#upstream);
  };

  readonly #down = (chunk: Buffer): void => {
    this.#bytesDown += chunk.length;
    this.#pass(chunk, this.#upstream, this.#client);
  };

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
    this.#done({ error: this.#error, bytesUp: this.#bytesUp, bytesDown: this.#bytesDown });
  }
}
