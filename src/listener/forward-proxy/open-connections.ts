import type { ListenerConfig } from '../../config/config.ts';
import { Bag } from '../../core/bag.ts';
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

/** One that is open, with the keys of the places that it has. */
export interface OpenConnection {
  readonly socket: TcpSocket;
  readonly keys: string[];
  /** Among those that count, or those set apart. */
  among: Bag<OpenConnection>;
  place: number;
  ended: boolean;
}

/** The open connections of a listener, held against its limits. Each is forgotten at its end, handed over or not. */
export class OpenConnections {
  readonly #options: OpenConnectionsOptions;
  readonly #open = new Bag<OpenConnection>();
  readonly #apart = new Bag<OpenConnection>();
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor(options: OpenConnectionsOptions) {
    this.#options = options;
  }

  add(socket: TcpSocket): OpenConnection {
    const among = this.#open;
    const connection: OpenConnection = { socket, keys: [], among, place: 0, ended: false };
    connection.place = among.add(connection);
    this.#options.onCount(among.size);
    onceEnded(socket, () => this.#end(connection));
    return connection;
  }

  /** False when `limits.connections` is reached. */
  admit(connection: OpenConnection): boolean | Promise<boolean> {
    return this.#take(connection, ALL, this.#options.limits().connections);
  }

  /** False when `limits.perClient` is reached. */
  countClient(connection: OpenConnection, ip: Ip): boolean | Promise<boolean> {
    return this.#take(connection, clientKey(ip), this.#options.limits().perClient);
  }

  /** Keeps a connection outside of the limits while it is told of them; false when too many are. */
  setApart(connection: OpenConnection): boolean {
    if (connection.among === this.#apart) return true;
    if (this.#apart.size >= SET_APART || connection.ended) return false;
    this.#leave(connection);
    connection.among = this.#apart;
    connection.place = this.#apart.add(connection);
    this.#options.onCount(this.#open.size);
    return true;
  }

  /** Resolves once none is open. */
  emptied(): Promise<void> {
    this.#emptied ??= Promise.withResolvers();
    this.#tellEmptied();
    return this.#emptied.promise;
  }

  destroyAll(): void {
    for (const { socket } of [...this.#open, ...this.#apart]) destroyConnection(socket);
  }

  #take(connection: OpenConnection, key: string, limit: number): boolean | Promise<boolean> {
    const taken = this.#options.places.take(key, limit);
    if (typeof taken === 'boolean') return taken && this.#keep(connection, key);
    return taken.then((granted) => granted && this.#keep(connection, key));
  }

  /** A connection that has closed in the meantime keeps nothing, and is none that a limit turned away. */
  #keep(connection: OpenConnection, key: string): true {
    if (connection.ended || connection.among === this.#apart) this.#options.places.leave(key);
    else connection.keys.push(key);
    return true;
  }

  #end(connection: OpenConnection): void {
    connection.ended = true;
    this.#leave(connection);
    this.#options.onCount(this.#open.size);
    this.#tellEmptied();
  }

  #leave({ among, place, keys }: OpenConnection): void {
    among.delete(place);
    for (const key of keys.splice(0)) this.#options.places.leave(key);
  }

  #tellEmptied(): void {
    if (this.#open.size === 0 && this.#apart.size === 0) this.#emptied?.resolve();
  }
}
