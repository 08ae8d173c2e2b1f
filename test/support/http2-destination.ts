import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Certificates } from './certificates.ts';
import { NOT_REMEMBERED, type SecureUpstream } from './credential-gateway.ts';
import { FLAG, FRAME, FramePeer, frame, headers, settings } from './http2-frames.ts';

/** A stream that somebody opened. */
export interface Opened {
  readonly peer: FramePeer;
  readonly stream: number;
}

/** A destination that speaks HTTP/2 frame by frame, as no server in order would. */
export interface FrameDestination extends SecureUpstream {
  /** Its connections in HTTP/2, in the order in which they came. */
  readonly peers: readonly FramePeer[];
  /** The next request, once its head is there. */
  next(): Promise<Opened>;
}

/** @param plain serves who asks for HTTP/1.1; undefined: nobody can */
export async function startFrameDestination(
  { cert, key }: Certificates,
  plain?: (socket: TLSSocket) => void,
): Promise<FrameDestination> {
  const peers: FramePeer[] = [];
  const sockets = new Set<TLSSocket>();
  const opened: Opened[] = [];
  const waiting: ((one: Opened) => void)[] = [];
  const ALPNProtocols = plain === undefined ? ['h2'] : ['h2', 'http/1.1'];
  const server = createServer({ cert, key, ALPNProtocols }, (socket) => {
    sockets.add(socket);
    if (socket.alpnProtocol !== 'h2') return plain?.(socket);
    const peer = new FramePeer(socket, 'server').send(settings());
    peers.push(peer);
    let last = 0;
    socket.on('frames', () => {
      for (const { type, stream } of peer.frames) {
        if (type !== FRAME.HEADERS || stream <= last) continue;
        last = stream;
        const take = waiting.shift();
        if (take === undefined) opened.push({ peer, stream });
        else take({ peer, stream });
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    ...NOT_REMEMBERED,
    peers,
    next: () =>
      new Promise((take) => {
        const first = opened.shift();
        if (first === undefined) waiting.push(take);
        else take(first);
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

/** All of an answer. */
export function answer(stream: number, body = 'ok'): Buffer {
  return Buffer.concat([
    headers(stream, [[':status', '200']], 0),
    frame(FRAME.DATA, FLAG.END_STREAM, stream, body),
  ]);
}

/** GOAWAY (RFC 9113 6.8). */
export function goaway(lastStream: number, code = 0): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream, 0);
  payload.writeUInt32BE(code, 4);
  return frame(FRAME.GOAWAY, 0, 0, payload);
}
