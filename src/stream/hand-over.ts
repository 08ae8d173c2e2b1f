import type { Socket } from 'node:net';

/** What goes on with a connection after its socket was closed here, of whose descriptor it has a copy. */
export interface Successor {
  readonly ended: Promise<void>;
  /** Ends the connection at once. */
  destroy(): void;
}

const successors = new WeakMap<Socket, Successor>();

/** Closes a socket whose connection goes on elsewhere: whoever waits for its end waits for that one. */
export function handOver(socket: Socket, successor: Successor): void {
  successors.set(socket, successor);
  socket.destroy();
}

/** Calls once the connection of a socket is at its end, be it handed over in between. */
export function onceEnded(socket: Socket, listener: () => void): void {
  socket.once('close', () => {
    const successor = successors.get(socket);
    if (successor === undefined) listener();
    else void successor.ended.then(listener);
  });
}

/** Ends the connection of a socket at once, whoever has it by now. */
export function destroyConnection(socket: Socket): void {
  const successor = successors.get(socket);
  if (successor === undefined) socket.destroy();
  else successor.destroy();
}
