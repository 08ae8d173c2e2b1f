import type { BodyChange } from '../core/injection.ts';
import type { TcpSocket } from '../tcp/tcp-socket.ts';

/** The two connections of a tunnel, with what was read of them and is owed to the other one. */
export interface Ends {
  readonly client: TcpSocket;
  readonly upstream: TcpSocket;
  readonly earlyUp: readonly Buffer[];
  readonly earlyDown: readonly Buffer[];
}

export interface TunnelTerms {
  /** How long nothing may move in either direction. */
  readonly idleMs: number;
  /** Is given a way to break the tunnel off. */
  readonly onOpen: (breakOff: () => void) => void;
  /** What becomes of bytes on their way to the client; undefined: they go on as they are. */
  readonly down?: BodyChange | undefined;
}
