import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import type { Certificates } from './certificates.ts';
import { STRICT } from './programs.ts';

/** Where a server of the tests listens. Port 0: one that the system picks. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

const ANYWHERE: Place = { host: '127.0.0.1', port: 0 };

/**
 * Port 80 of a loopback address that nobody else has: the one port on which a tunnel is read as HTTP, so that all ways to
 * ask for a host lead to the same server.
 */
export function onPort80(): Place {
  const [a = 0, b = 0, c = 0] = randomBytes(3);
  return { host: `127.${64 + (a % 128)}.${b}.${1 + (c % 254)}`, port: 80 };
}

/** As `needs`: false when a test may listen as `onPort80` says. */
export function needsPort80(): false | string {
  if (process.platform === 'linux') {
    const first = readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8');
    if (process.getuid?.() === 0 || Number(first) <= 80) return false;
  }
  const reason = 'needs Linux and the right to listen on port 80';
  if (STRICT) throw new Error(`a test ${reason}; with CI=true none may be skipped`);
  return reason;
}

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly body: string;
}

export interface Upstream {
  readonly host: string;
  readonly port: number;
  /** Every request that arrived whole. */
  readonly requests: readonly SeenRequest[];
  readonly connections: number;
  close(): Promise<void>;
}

type Answer = (request: SeenRequest, response: Parameters<RequestListener>[1]) => void;

const HELLO: Answer = (_request, response) => response.end('hello');

/** An HTTP server on loopback that remembers what arrived. */
export function startHttpUpstream(
  answer: Answer = HELLO,
  place: Place = ANYWHERE,
): Promise<Upstream> {
  return start((listener) => createServer(listener), answer, place);
}

export function startHttpsUpstream(
  certificates: Certificates,
  answer: Answer = HELLO,
): Promise<Upstream> {
  const { cert, key } = certificates;
  return start((listener) => createTlsServer({ cert, key }, listener), answer, ANYWHERE);
}

async function start(
  create: (listener: RequestListener) => Server,
  answer: Answer,
  place: Place,
): Promise<Upstream> {
  const requests: SeenRequest[] = [];
  let connections = 0;
  const server = create(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // cut in the middle: it did not arrive whole
    }
    const { method = '', url = '', headers, rawHeaders, rawTrailers } = request;
    const seen = {
      method,
      url,
      headers,
      rawHeaders,
      rawTrailers,
      body: Buffer.concat(chunks).toString('latin1'),
    };
    requests.push(seen);
    answer(seen, response);
  });
  server.on('connection', () => connections++);
  server.listen(place);
  await once(server, 'listening');
  return {
    host: place.host,
    port: (server.address() as AddressInfo).port,
    requests,
    get connections() {
      return connections;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

export interface RawUpstream {
  readonly port: number;
  /** Every byte that arrived, by connection. */
  readonly received: readonly Buffer[];
  close(): Promise<void>;
}

/** A TCP server on loopback that answers as the test says. */
export async function startRawUpstream(
  serve: (socket: Socket) => void = () => {},
  place: Place = ANYWHERE,
): Promise<RawUpstream> {
  const received: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server: TcpServer = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const index = received.push(Buffer.alloc(0)) - 1;
    sockets.add(socket);
    socket.on('data', (chunk) => {
      received[index] = Buffer.concat([received[index] as Buffer, chunk]);
    });
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(place);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
