import { NativeSocket } from './native-socket.ts';
import type { TcpSocket } from './tcp-socket.ts';

/** Calls once the connection of a socket is at its end, be it handed over in between. */
export function onceEnded(socket: TcpSocket, listener: () => void): void {
  const follow = () => {
    const successor = successorOf(socket);
    if (successor === undefined) listener();
    else void successor.ended.then(listener);
  };
  if (successorOf(socket) === undefined) socket.once('close', follow);
  else follow();
}

/** Ends the connection of a socket at once, whoever has it by now. */
export function destroyConnection(socket: TcpSocket): void {
  const successor = successorOf(socket);
  if (successor === undefined) socket.destroy();
  else successor.destroy();
}

function successorOf(socket: TcpSocket) {
  return socket instanceof NativeSocket ? socket.successor : undefined;
}
