import type { Socket } from 'node:net';
import type { ListenerConfig } from '../../config/config.ts';
import { clientKey } from '../../core/client-key.ts';
import type { Ip } from '../../core/ip.ts';
import type { Places } from '../../core/places.ts';
import { destroyConnection, onceEnded } from '../../stream/hand-over.ts';

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
  readonly #open = new Map<Socket, string[]>();
  readonly #apart = new Set<Socket>();
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor(options: OpenConnectionsOptions) {
    this.#options = options;
  }

  /** False when `limits.connections` is reached. */
  add(socket: Socket): boolean | Promise<boolean> {
    this.#open.set(socket, []);
    this.#options.onCount(this.#open.size);
    onceEnded(socket, () => this.#remove(socket));
    return this.#take(socket, ALL, this.#options.limits().connections);
  }

  /** False when `limits.perClient` is reached. */
  countClient(socket: Socket, ip: Ip): boolean | Promise<boolean> {
    return this.#take(socket, clientKey(ip), this.#options.limits().perClient);
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

  /** Resolves once none is open that counts. */
  emptied(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    this.#emptied ??= Promise.withResolvers();
    return this.#emptied.promise;
  }

  destroyAll(): void {
    for (const socket of [...this.#open.keys(), ...this.#apart]) destroyConnection(socket);
  }

  #take(socket: Socket, key: string, limit: number): boolean | Promise<boolean> {
    const taken = this.#options.places.take(key, limit);
    if (typeof taken === 'boolean') return taken && this.#keep(socket, key);
    return taken.then((granted) => granted && this.#keep(socket, key));
  }

  /** A connection that has closed in the meantime keeps nothing, and is none that a limit turned away. */
  #keep(socket: Socket, key: string): true {
    const keys = this.#open.get(socket);
    if (keys === undefined) this.#options.places.leave(key);
    else keys.push(key);
    return true;
  }

  #remove(socket: Socket): void {
    const keys = this.#open.get(socket);
    if (keys === undefined) return;
    this.#open.delete(socket);
    for (const key of keys) this.#options.places.leave(key);
    this.#options.onCount(this.#open.size);
    if (this.#open.size === 0) this.#emptied?.resolve();
  }
}
