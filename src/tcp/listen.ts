import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { Ip } from '../core/ip.ts';
import { nativePart } from './addon.ts';
import { type Acceptor, nativeTcp } from './native-tcp.ts';

/** An address, or a socket that is bound to one already. */
export type ListenAt =
  | { readonly host: string; readonly port: number; readonly reusePort?: boolean }
  | { readonly handle: object };

/** A socket that is accepted from. */
export interface TcpListening {
  readonly address: AddressInfo;
  /** The socket itself, for another process to go on with. */
  readonly handle: object;
  /** Accepts no more. Connections stay. */
  close(): void;
}

/** What Node has behind a server or a socket. It is not documented. */
interface Handle {
  readonly fd: number;
  close(): void;
}

/** Connections that wait for being accepted. */
const BACKLOG = 1024;

/** @throws NodeJS.ErrnoException where the address cannot be had */
export async function listenTcp(at: ListenAt, acceptor: Acceptor): Promise<TcpListening> {
  const server = await listen(at, acceptor);
  const address = server.address() as AddressInfo;
  const handle = handleOf(server);
  const native = nativeTcp();
  if (native === undefined || handle.fd < 0)
    return { address, handle, close: () => server.close() };
  // The native part accepts from a copy, and the server never gets a turn to.
  const end = native.listen(handle.fd, acceptor);
  const copy = copyOf(handle);
  server.close();
  const close = () => {
    end();
    copy.close();
  };
  return { address, handle: copy, close };
}

function listen(at: ListenAt, { accepted, failed }: Acceptor): Promise<Server> {
  const options = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
  const server = createServer(options, (socket) => {
    const ip = Ip.parse(socket.remoteAddress ?? '');
    accepted(socket, ip && { ip, port: socket.remotePort ?? 0 });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, BACKLOG, () => {
      server.off('error', reject);
      // What the system could not hand over ends nothing else: the next connection may fare better.
      server.on('error', failed);
      resolve(server);
    });
  });
}

function handleOf(owner: Server | Socket): Handle {
  return (owner as unknown as { readonly _handle: Handle })._handle;
}

/** A handle of the same socket that does not accept: only as one can it be sent to another process. */
function copyOf({ fd }: Handle): Handle {
  const native = nativePart();
  if ('obstacle' in native) throw new TypeError(native.obstacle);
  return handleOf(new Socket({ fd: native.addon.duplicate(fd), readable: false, writable: false }));
}
