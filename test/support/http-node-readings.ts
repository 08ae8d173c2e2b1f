import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { Reading, Seen } from './http-readings.ts';

/** What Node's server makes of a client's bytes. */
export async function nodeReadsRequests(bytes: Buffer): Promise<Reading> {
  const [near, far] = duplexPair();
  const collected: (() => Seen | undefined)[] = [];
  let refused = false;
  const server = createServer({ requireHostHeader: false });
  const take = (message: IncomingMessage) => {
    collected.push(
      collect(message, `${message.method} ${message.url} HTTP/${message.httpVersion}`),
    );
  };
  server.on('request', take);
  server.on('checkContinue', take);
  const over = new Promise<void>((resolve) => {
    server.on('connection', (socket) => socket.on('end', resolve).on('close', resolve));
    server.on('clientError', (_error, socket) => {
      refused = true;
      socket.destroy();
      resolve();
    });
  });
  server.emit('connection', far);
  near.on('error', () => {}).resume();
  near.end(bytes);
  await over;
  await turn();
  const messages = collected.map((message) => message()).filter((message) => message !== undefined);
  near.destroy();
  far.destroy();
  const whole = !refused && messages.length === collected.length;
  return { messages, fault: whole ? undefined : 'node' };
}

/** What Node's client makes of a server's bytes. */
export async function nodeReadsResponse(bytes: Buffer, method: string): Promise<Reading> {
  const [near, far] = duplexPair();
  const messages: Seen[] = [];
  let final: (() => Seen | undefined) | undefined;
  let refused = false;
  const request = httpRequest({ method, createConnection: () => near as Duplex as never });
  const over = new Promise<void>((resolve) => {
    request.on('error', () => {
      refused = true;
    });
    request.on('information', (interim) => {
      const startLine = `HTTP/${interim.httpVersion} ${interim.statusCode} ${interim.statusMessage}`;
      messages.push({ startLine, fields: interim.rawHeaders, body: '' });
    });
    request.on('response', (message) => {
      const startLine = `HTTP/${message.httpVersion} ${message.statusCode} ${message.statusMessage}`;
      final = collect(message, startLine);
    });
    near.on('close', resolve);
  });
  far.on('error', () => {}).once('data', () => far.end(bytes));
  request.end();
  await over;
  await turn();
  const last = final?.();
  if (last !== undefined) messages.push(last);
  return { messages, fault: refused || last === undefined ? 'node' : undefined };
}

function collect(message: IncomingMessage, startLine: string): () => Seen | undefined {
  const body: Buffer[] = [];
  message.on('data', (chunk: Buffer) => body.push(chunk));
  message.on('error', () => {});
  return () => {
    if (!message.complete) return undefined;
    const text = Buffer.concat(body).toString('latin1');
    return { startLine, fields: message.rawHeaders, body: text };
  };
}
