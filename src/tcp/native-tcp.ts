import { Ip } from '../core/ip.ts';
import { nativePart, type SocketsAddon } from './addon.ts';
import { NativeSocket } from './native-socket.ts';
import type { Peer, TcpSocket } from './tcp-socket.ts';

/** What an event tells: the numbers of `enum told` in `native/sockets.c`, and the layout of its events and addresses. */
const TOLD = {
  accepted: 0,
  notAccepted: 1,
  connected: 2,
  data: 3,
  end: 4,
  drained: 5,
  finished: 6,
  failed: 7,
} as const;
const EVENT_WORDS = 4;
const ADDRESS_SIZE = 20;
const MOST_ACCEPTED = 256;
const MOST_OTHERS = 2_560;

const ARENA_SIZE = 256 * 1024;
/** The most that one read takes. */
const READ_SIZE = 64 * 1024;
/** What is smaller is copied: a head that somebody keeps for long would keep the arena. */
const LARGE = 4 * 1024;

export interface Acceptor {
  /** @param peer undefined where it is gone already */
  accepted(socket: TcpSocket, peer: Peer | undefined): void;
  /** A connection that the system could not hand over. */
  failed(): void;
}

/** The sockets of this process that the native part has, and what it tells of them. */
export class NativeTcp {
  readonly #addon: SocketsAddon;
  readonly #events = new Int32Array((MOST_OTHERS + MOST_ACCEPTED) * EVENT_WORDS);
  readonly #addresses = new Uint8Array(MOST_ACCEPTED * ADDRESS_SIZE);
  readonly #sockets: (NativeSocket | undefined)[] = [];
  readonly #acceptors = new Map<number, Acceptor>();
  #arena = Buffer.allocUnsafeSlow(ARENA_SIZE);
  /** Whether somebody may have kept a part of it. */
  #isKept = false;

  constructor(addon: SocketsAddon) {
    this.#addon = addon;
    addon.open((events, used) => this.#onTurn(events, used), this.#events, this.#addresses);
    addon.use(this.#arena);
  }

  /** Accepts from a socket that listens, with a descriptor of its own. @returns ends that */
  listen(fd: number, acceptor: Acceptor): () => void {
    const id = this.#addon.listen(fd);
    if (id < 0) throw new TypeError(`the native part cannot listen: errno ${-id}`);
    this.#acceptors.set(id, acceptor);
    return () => {
      this.#acceptors.delete(id);
      this.#addon.close(id, false);
    };
  }

  /** Becomes `connect`, or `error` in a later turn. */
  connect(to: Ip, port: number, from: Ip | undefined): TcpSocket {
    const id = this.#addon.connect(to.bytes, port, from?.bytes);
    const socket = new NativeSocket(this.#addon, id, this.#sockets);
    if (id < 0) queueMicrotask(() => socket.failed(-id % 1000, id <= -1000 ? 'bind' : 'connect'));
    return socket;
  }

  #onTurn(count: number, used: number): void {
    const events = this.#events;
    for (let at = 0; at < count * EVENT_WORDS; at += EVENT_WORDS) {
      const [id, a, b] = [events[at + 1], events[at + 2], events[at + 3]] as [
        number,
        number,
        number,
      ];
      try {
        this.#tell(events[at] as number, id, a, b);
      } catch (error) {
        // One connection's fault is not the others': they are told what came.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    if (!this.#isKept) this.#addon.reuse();
    else if (ARENA_SIZE - used < READ_SIZE) this.#renewArena();
  }

  #tell(told: number, id: number, a: number, b: number): void {
    if (told === TOLD.data) return this.#sockets[id]?.received(this.#bytes(a, b));
    if (told === TOLD.accepted) return this.#accept(id, a, b);
    if (told === TOLD.end) return this.#sockets[id]?.ended();
    if (told === TOLD.connected) return this.#sockets[id]?.connected();
    if (told === TOLD.drained) return this.#sockets[id]?.drained();
    if (told === TOLD.finished) return this.#sockets[id]?.finished();
    if (told === TOLD.failed) return this.#sockets[id]?.failed(a, 'read');
    return this.#acceptors.get(id)?.failed();
  }

  #bytes(from: number, size: number): Buffer {
    if (size < LARGE) {
      const bytes = Buffer.allocUnsafe(size);
      this.#arena.copy(bytes, 0, from, from + size);
      return bytes;
    }
    this.#isKept = true;
    return this.#arena.subarray(from, from + size);
  }

  #renewArena(): void {
    this.#arena = Buffer.allocUnsafeSlow(ARENA_SIZE);
    this.#isKept = false;
    this.#addon.use(this.#arena);
  }

  #accept(listener: number, id: number, place: number): void {
    const acceptor = this.#acceptors.get(listener);
    // Accepted in the turn in which it was told to accept no more.
    if (acceptor === undefined) return this.#addon.close(id, true);
    const socket = new NativeSocket(this.#addon, id, this.#sockets);
    acceptor.accepted(socket, this.#peerAt(place * ADDRESS_SIZE));
  }

  #peerAt(at: number): Peer | undefined {
    const bytes = this.#addresses;
    const size = bytes[at] === 4 ? 4 : bytes[at] === 6 ? 16 : 0;
    if (size === 0) return undefined;
    const port = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    return { ip: Ip.fromBytes(bytes.subarray(at + 4, at + 4 + size)), port };
  }
}

let opened: NativeTcp | undefined;

/** Undefined where this process has no native part. */
export function nativeTcp(): NativeTcp | undefined {
  if (opened !== undefined) return opened;
  const native = nativePart();
  if ('addon' in native) opened = new NativeTcp(native.addon);
  return opened;
}
