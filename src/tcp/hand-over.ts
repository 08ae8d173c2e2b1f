import type { TcpSocket } from './tcp-socket.ts';

/** What goes on with a connection after its socket was closed here, whose descriptor it has. */
export interface Successor {
  readonly ended: Promise<void>;
  /** Ends the connection at once. */
  destroy(): void;
}

const successors = new WeakMap<TcpSocket, Successor>();

/** Closes a socket whose connection goes on elsewhere: whoever waits for its end waits for that one. */
export function handOver(socket: TcpSocket, successor: Successor): void {
  successors.set(socket, successor);
  socket.destroy();
}

/** Calls once the connection of a socket is at its end, be it handed over in between. */
export function onceEnded(socket: TcpSocket, listener: () => void): void {
  const follow = () => {
    const successor = successors.get(socket);
    if (successor === undefined) listener();
    else void successor.ended.then(listener);
  };
  if (successors.has(socket)) follow();
  else socket.once('close', follow);
}

/** Ends the connection of a socket at once, whoever has it by now. */
export function destroyConnection(socket: TcpSocket): void {
  const successor = successors.get(socket);
  if (successor === undefined) socket.destroy();
  else successor.destroy();
}
