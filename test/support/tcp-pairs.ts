import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { nativePart } from '../../src/tcp/addon.ts';
import { nativeTcp } from '../../src/tcp/native-tcp.ts';
import type { Peer, TcpSocket } from '../../src/tcp/tcp-socket.ts';

const native = nativePart();
/** Why tests of the native part cannot run here. */
export const noNative = 'obstacle' in native ? native.obstacle : false;

/** Which sockets the gateway's ends are. */
export type SocketKind = 'node' | 'native';
export const SOCKET_KINDS = { node: false, native: noNative } as const;

/** Makes connections of which one end is a socket as the gateway has it. */
export class TcpPairs {
  /** Accepts no more. */
  readonly close: () => void;
  readonly #port: number;
  readonly #waiting = new Map<number, (socket: TcpSocket) => void>();
  readonly #early = new Map<number, TcpSocket>();

  private constructor(port: number, close: () => void) {
    this.#port = port;
    this.close = close;
  }

  static async open(kind: SocketKind): Promise<TcpPairs> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    if (kind === 'node') {
      const pairs = new TcpPairs(port, () => server.close());
      return pairs.#acceptBy((accepted) => {
        server.on('connection', (socket) => accepted(socket, socket.remotePort ?? 0));
      });
    }
    const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle;
    let accept: (socket: TcpSocket, from: number) => void = () => {};
    const accepted = (socket: TcpSocket, peer: Peer | undefined) => accept(socket, peer?.port ?? 0);
    const end = nativeTcp()?.listen(fd, { accepted, failed: () => {} });
    // It would accept as well.
    server.close();
    return new TcpPairs(port, () => end?.()).#acceptBy((by) => {
      accept = by;
    });
  }

  async pair(): Promise<{ readonly socket: TcpSocket; readonly peer: Socket }> {
    const peer = connect({
      port: this.#port,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    });
    // A reset is an error to whoever has a socket; tests look at what comes of it.
    peer.on('error', () => {});
    await once(peer, 'connect');
    const from = peer.localPort ?? 0;
    const early = this.#early.get(from);
    this.#early.delete(from);
    const socket =
      early ?? (await new Promise<TcpSocket>((resolve) => this.#waiting.set(from, resolve)));
    return { socket, peer };
  }

  #acceptBy(tell: (accepted: (socket: TcpSocket, from: number) => void) => void): this {
    tell((socket, from) => this.#accepted(socket, from));
    return this;
  }

  #accepted(socket: TcpSocket, from: number): void {
    const waiting = this.#waiting.get(from);
    this.#waiting.delete(from);
    if (waiting === undefined) this.#early.set(from, socket);
    else waiting(socket);
  }
}
