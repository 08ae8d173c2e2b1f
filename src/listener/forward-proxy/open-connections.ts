import type { Socket } from 'node:net';
import type { ListenerConfig } from '../../config/config.ts';
import { clientKey } from '../../core/client-key.ts';
import type { Ip } from '../../core/ip.ts';

/** Connections beyond a limit that may be open to be told so; the rest is closed without a word. */
const SET_APART = 64;

/** The open connections of a listener, held against its limits. Each is forgotten once it is closed. */
export class OpenConnections {
  readonly #limits: ListenerConfig['limits'];
  readonly #onCount: (open: number) => void;
  readonly #open = new Set<Socket>();
  readonly #apart = new Set<Socket>();
  readonly #perClient = new Map<string, number>();

  /** @param onCount told how many are open, whenever that changes */
  constructor(limits: ListenerConfig['limits'], onCount: (open: number) => void) {
    this.#limits = limits;
    this.#onCount = onCount;
  }

  /** False when `limits.connections` is reached. */
  add(socket: Socket): boolean {
    if (this.#open.size >= this.#limits.connections) return false;
    this.#open.add(socket);
    this.#onCount(this.#open.size);
    socket.once('close', () => this.#remove(socket));
    return true;
  }

  /** False when `limits.perClient` is reached. */
  countClient(socket: Socket, ip: Ip): boolean {
    const key = clientKey(ip);
    const before = this.#perClient.get(key) ?? 0;
    if (before >= this.#limits.perClient) return false;
    this.#perClient.set(key, before + 1);
    socket.once('close', () => {
      const left = (this.#perClient.get(key) as number) - 1;
      if (left > 0) this.#perClient.set(key, left);
      else this.#perClient.delete(key);
    });
    return true;
  }

  /** Keeps a connection outside of the limits while it is told of them; false when too many are. */
  setApart(socket: Socket): boolean {
    if (this.#apart.has(socket)) return true;
    if (this.#apart.size >= SET_APART) return false;
    this.#remove(socket);
    this.#apart.add(socket);
    socket.once('close', () => this.#apart.delete(socket));
    return true;
  }

  destroyAll(): void {
    for (const socket of [...this.#open, ...this.#apart]) socket.destroy();
  }

  #remove(socket: Socket): void {
    if (this.#open.delete(socket)) this.#onCount(this.#open.size);
  }
}
