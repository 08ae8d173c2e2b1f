import { connect } from 'node:net';
import type { Ip } from '../core/ip.ts';
import { nativeTcp } from './native-tcp.ts';
import type { TcpSocket } from './tcp-socket.ts';

export interface ConnectOptions {
  readonly to: Ip;
  readonly port: number;
  /** Undefined: the system picks. */
  readonly from: Ip | undefined;
}

/** Becomes `connect` or `error`: then with `syscall` `bind` where it cannot leave from there. Comes paused. */
export function connectTcp({ to, port, from }: ConnectOptions): TcpSocket {
  const native = nativeTcp();
  if (native !== undefined) return native.connect(to, port, from);
  const socket = connect({
    host: to.text,
    port,
    ...(from && { localAddress: from.text }),
    allowHalfOpen: true,
    noDelay: true,
  });
  // Before it connects, or Node starts to read ahead of whoever will own the socket.
  return socket.pause();
}
