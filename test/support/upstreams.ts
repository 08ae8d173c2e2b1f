import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import type { Certificates } from './certificates.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface Upstream {
  readonly port: number;
  /** Every request that arrived whole. */
  readonly requests: readonly SeenRequest[];
  readonly connections: number;
  close(): Promise<void>;
}

type Answer = (request: SeenRequest, response: Parameters<RequestListener>[1]) => void;

const HELLO: Answer = (_request, response) => response.end('hello');

/** An HTTP server on loopback that remembers what arrived. */
export function startHttpUpstream(answer: Answer = HELLO): Promise<Upstream> {
  return start((listener) => createServer(listener), answer);
}

export function startHttpsUpstream(
  certificates: Certificates,
  answer: Answer = HELLO,
): Promise<Upstream> {
  const { cert, key } = certificates;
  return start((listener) => createTlsServer({ cert, key }, listener), answer);
}

async function start(
  create: (listener: RequestListener) => Server,
  answer: Answer,
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
    const { method = '', url = '', headers, rawHeaders } = request;
    const seen = {
      method,
      url,
      headers,
      rawHeaders,
      body: Buffer.concat(chunks).toString('latin1'),
    };
    requests.push(seen);
    answer(seen, response);
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
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
  server.listen(0, '127.0.0.1');
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
