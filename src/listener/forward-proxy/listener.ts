import type { Bind } from '../../config/config.ts';
import { SekishoError } from '../../core/errors.ts';
import { listenFailed } from '../../core/listen-failed.ts';
import { Refusal } from '../../core/refusal.ts';
import { Channel, ChannelLost } from '../../stream/channel.ts';
import { type ListenAt, listenTcp, type TcpListening } from '../../tcp/listen.ts';
import type { Peer, TcpSocket } from '../../tcp/tcp-socket.ts';
import { ProxyHeaderError } from '../../wire/proxy-protocol.ts';
import type { Client, ProxyContext } from './client.ts';
import { serveClient } from './connection.ts';
import { Drain } from './drain.ts';
import { type OpenConnection, OpenConnections } from './open-connections.ts';
import type { PeerRules, PeerStanding } from './peer-rules.ts';
import { type ClientAddress, takeProxyHeader } from './proxy-header.ts';
import type { Rejection } from './rejection.ts';
import { ServerTls } from './server-tls.ts';

export interface ListenerEvents {
  rejected(rejection: Rejection): void;
  connections(open: number): void;
  /** A fault of ours: of the code, which closes the connection, or of a certificate that cannot be taken. */
  fault(error: unknown): void;
}

const LIMITS = {
  'too-many-connections': 'connections',
  'too-many-from-client': 'perClient',
} as const;

/** Where a listener accepts clients. */
export interface Listening {
  /** With the port that the system picked. */
  readonly bind: Bind;
  /** The socket itself, for another process to go on with. */
  readonly handle: object;
  /** Accepts no more there. */
  close(): void;
}

/** Accepts clients on every address of a forward-proxy listener. */
export class ForwardProxyListener {
  readonly #proxy: ProxyContext;
  readonly #peers: Pick<PeerRules, 'standingOf'>;
  readonly #events: ListenerEvents;
  readonly #tls: ServerTls | undefined;
  readonly #listening = new Set<TcpListening>();
  readonly #connections: OpenConnections;
  readonly #drain = new Drain();

  /** @throws SekishoError `tls-unusable` */
  constructor(proxy: ProxyContext, peers: Pick<PeerRules, 'standingOf'>, events: ListenerEvents) {
    this.#proxy = proxy;
    this.#peers = peers;
    this.#events = events;
    const { tls } = proxy.config;
    this.#connections = new OpenConnections({
      limits: () => proxy.config.limits,
      places: proxy.places,
      onCount: (open) => events.connections(open),
    });
    this.#tls = tls && new ServerTls(tls, (error) => events.fault(error));
  }

  /**
   * Accepts clients on an address.
   *
   * @throws SekishoError `listen-failed` naming listener, address and remedy
   */
  async listen(
    bind: Bind,
    at: ListenAt = { host: bind.host, port: bind.port },
  ): Promise<Listening> {
    const { name } = this.#proxy.config;
    const listening = await listenTcp(at, {
      accepted: (socket, peer) => this.#accept(socket, peer),
      failed: () => this.#events.rejected('accept-failed'),
    }).catch((error: NodeJS.ErrnoException) => {
      throw listenFailed(`listener ${name}`, bind, error);
    });
    this.#listening.add(listening);
    const { address, port } = listening.address;
    const close = () => {
      this.#listening.delete(listening);
      listening.close();
    };
    return { bind: { host: address, port }, handle: listening.handle, close };
  }

  /** Stops accepting; connections end after the exchange that they are in. Resolves when all are gone. */
  async drain(limitMs: number): Promise<void> {
    for (const listening of this.#listening) listening.close();
    this.#listening.clear();
    this.#drain.begin();
    const timer = setTimeout(() => this.#connections.destroyAll(), limitMs);
    await this.#connections.emptied();
    clearTimeout(timer);
  }

  #accept(socket: TcpSocket, peer: Peer | undefined): void {
    // The peer may be gone before it was accepted.
    if (peer === undefined) return this.#reject(socket, 'closed-before-a-byte');
    const standing = this.#peers.standingOf(peer.ip);
    if (standing === 'refused') return this.#reject(socket, 'peer-not-allowed');
    const connection = this.#connections.add(socket);
    const admitted = this.#connections.admit(connection);
    if (admitted === false && !this.#mayTell(connection))
      return this.#reject(socket, 'too-many-connections');
    this.#serve(connection, peer, standing, admitted).catch((error: unknown) => {
      this.#events.fault(error);
      socket.destroy();
    });
  }

  async #serve(
    connection: OpenConnection,
    peer: Peer,
    standing: PeerStanding,
    admitted: boolean | Promise<boolean>,
  ): Promise<void> {
    const { socket } = connection;
    const { idleMs } = this.#proxy.config.timeouts;
    const accepted = new Channel(socket, idleMs);
    const crowded = !(typeof admitted === 'boolean' ? admitted : await admitted);
    if (crowded && !this.#mayTell(connection)) return this.#reject(socket, 'too-many-connections');
    const address = standing === 'balancer' ? await this.#clientOf(accepted, peer) : peer;
    if (address === undefined) return void socket.destroy();
    const client = { ...address, peer: peer.ip };
    const turnAway = (rejection: keyof typeof LIMITS) =>
      this.#turnAway(connection, { ...client, channel: accepted }, rejection);
    if (crowded) return turnAway('too-many-connections');
    const counted = this.#connections.countClient(connection, address.ip);
    if (!(typeof counted === 'boolean' ? counted : await counted))
      return turnAway('too-many-from-client');
    const channel = this.#tls === undefined ? accepted : await this.#secure(accepted, this.#tls);
    if (channel === undefined) return;
    const rejection = await serveClient({ ...client, channel }, this.#proxy, this.#drain);
    if (rejection !== undefined) this.#events.rejected(rejection);
  }

  /** Behind a handshake it would cost more to tell than to serve. */
  #mayTell(connection: OpenConnection): boolean {
    return this.#tls === undefined && this.#connections.setApart(connection);
  }

  /** Refuses the first request of a connection beyond a limit, so that its developer learns which. */
  async #turnAway(
    connection: OpenConnection,
    client: Client,
    rejection: keyof typeof LIMITS,
  ): Promise<void> {
    if (!this.#mayTell(connection)) return this.#reject(connection.socket, rejection);
    this.#events.rejected(rejection);
    const { name, limits } = this.#proxy.config;
    const limit = LIMITS[rejection];
    const says = `limits.${limit} of the listener ${name} is ${limits[limit]}`;
    const unwelcome = new Refusal('limit-exceeded', says);
    await serveClient({ ...client, unwelcome }, this.#proxy, this.#drain);
  }

  /** The client behind a balancer, as its PROXY header says. */
  async #clientOf(channel: Channel, balancer: Peer): Promise<ClientAddress | undefined> {
    try {
      const { headMs } = this.#proxy.config.timeouts;
      const client = await takeProxyHeader(channel, balancer, headMs);
      if (client === undefined) this.#events.rejected('closed-before-a-byte');
      return client;
    } catch (error) {
      if (!(error instanceof ProxyHeaderError || error instanceof ChannelLost)) throw error;
      this.#events.rejected('proxy-header-invalid');
      return undefined;
    }
  }

  /** The channel inside the listener's TLS. */
  async #secure(accepted: Channel, tls: ServerTls): Promise<Channel | undefined> {
    const { headMs, idleMs } = this.#proxy.config.timeouts;
    const { socket, early } = accepted.release();
    try {
      return new Channel(await tls.handshake(socket, early, headMs), idleMs);
    } catch (error) {
      if (!(error instanceof SekishoError)) throw error;
      this.#reject(socket, 'tls-handshake-failed');
      return undefined;
    }
  }

  #reject(socket: TcpSocket, rejection: Rejection): void {
    this.#events.rejected(rejection);
    socket.destroy();
  }
}
