import type { ListenerConfig } from '../../config/config.ts';
import { clientKey } from '../../core/client-key.ts';
import type { Ip } from '../../core/ip.ts';
import type { Places } from '../../core/places.ts';
import { destroyConnection, onceEnded } from '../../tcp/hand-over.ts';
import type { TcpSocket } from '../../tcp/tcp-socket.ts';

/** Connections beyond a limit that may be open to be told so; the rest is closed without a word. */
const SET_APART = 64;
/** The key of the places that all connections share. No client's key is empty. */
const ALL = '';

export interface OpenConnectionsOptions {
  readonly limits: () => ListenerConfig['limits'];
  readonly places: Places;
  /** Told how many are open, whenever that changes. */
  readonly onCount: (open: number) => void;
}

/** The open connections of a listener, held against its limits. Each is forgotten at its end, handed over or not. */
export class OpenConnections {
  readonly #options: OpenConnectionsOptions;
  /** With the keys of the places that each has. */
  readonly #open = new Map<TcpSocket, string[]>();
  readonly #apart = new Set<TcpSocket>();
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor(options: OpenConnectionsOptions) {
    this.#options = options;
  }

  /** False when `limits.connections` is reached. */
  add(socket: TcpSocket): boolean | Promise<boolean> {
    this.#open.set(socket, []);
    this.#options.onCount(this.#open.size);
    onceEnded(socket, () => this.#remove(socket));
    return this.#take(socket, ALL, this.#options.limits().connections);
  }

  /** False when `limits.perClient` is reached. */
  countClient(socket: TcpSocket, ip: Ip): boolean | Promise<boolean> {
    return this.#take(socket, clientKey(ip), this.#options.limits().perClient);
  }

  /** Keeps a connection outside of the limits while it is told of them; false when too many are. */
  setApart(socket: TcpSocket): boolean {
    if (this.#apart.has(socket)) return true;
    if (this.#apart.size >= SET_APART) return false;
    this.#apart.add(socket);
    this.#remove(socket);
    onceEnded(socket, () => {
      this.#apart.delete(socket);
      this.#tellEmptied();
    });
    return true;
  }

  /** Resolves once none is open. */
  emptied(): Promise<void> {
    this.#emptied ??= Promise.withResolvers();
    this.#tellEmptied();
    return this.#emptied.promise;
  }

  destroyAll(): void {
    for (const socket of [...this.#open.keys(), ...this.#apart]) destroyConnection(socket);
  }

  #take(socket: TcpSocket, key: string, limit: number): boolean | Promise<boolean> {
    const taken = this.#options.places.take(key, limit);
    if (typeof taken === 'boolean') return taken && this.#keep(socket, key);
    return taken.then((granted) => granted && this.#keep(socket, key));
  }

  /** A connection that has closed in the meantime keeps nothing, and is none that a limit turned away. */
  #keep(socket: TcpSocket, key: string): true {
    const keys = this.#open.get(socket);
    if (keys === undefined) this.#options.places.leave(key);
    else keys.push(key);
    return true;
  }

  #remove(socket: TcpSocket): void {
    const keys = this.#open.get(socket);
    if (keys === undefined) return;
    this.#open.delete(socket);
    for (const key of keys) this.#options.places.leave(key);
    this.#options.onCount(this.#open.size);
    this.#tellEmptied();
  }

  #tellEmptied(): void {
    if (this.#open.size === 0 && this.#apart.size === 0) this.#emptied?.resolve();
  }
}
