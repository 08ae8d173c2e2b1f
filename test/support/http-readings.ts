import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { BodyReader } from '../../src/wire/http1/body.ts';
import type { Fields } from '../../src/wire/http1/fields.ts';
import { type Framing, requestFraming, responseFraming } from '../../src/wire/http1/framing.ts';
import { FramingError } from '../../src/wire/http1/framing-error.ts';
import { HeadReader } from '../../src/wire/http1/head-reader.ts';
import { parseRequestHead, type RequestHead } from '../../src/wire/http1/request-head.ts';
import { parseResponseHead, type ResponseHead } from '../../src/wire/http1/response-head.ts';

const LIMITS = { bytes: 16 * 1024, fields: 100 };

/** One message as a reader sees it. */
export interface Seen {
  readonly startLine: string;
  /** `name`, `value`, `name`, ... */
  readonly fields: readonly string[];
  readonly body: string;
}

/** All that a reader makes of what comes over a connection. */
export interface Reading<Message extends Seen = Seen> {
  /** The whole ones. */
  readonly messages: readonly Message[];
  /** Why there is no further one: a FramingCode, `stray` for bytes that belong to nothing, `node` when Node says no. */
  readonly fault: string | undefined;
}

/** With what no other reader tells. */
export interface OwnSeen extends Seen {
  readonly framing: Framing['kind'];
  readonly fieldLines: Fields;
}

interface Kind<Head> {
  readonly parse: (bytes: Buffer, limits: typeof LIMITS) => Head;
  readonly startLineOf: (head: Head) => string;
  readonly framingOf: (head: Head) => Framing;
  /** Whether nothing may follow. */
  readonly isLast: (head: Head) => boolean;
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** What our codec makes of a client's bytes, as they arrive in `chunks`. */
export function readRequests(chunks: readonly Buffer[]): Reading<OwnSeen> {
  return read(chunks, {
    parse: parseRequestHead,
    startLineOf: (head: RequestHead) => `${head.method} ${head.target} HTTP/1.${head.minor}`,
    framingOf: requestFraming,
    isLast: () => false,
  });
}

/** What our codec makes of a server's bytes: interim responses and the final one. */
export function readResponse(chunks: readonly Buffer[], method: string): Reading<OwnSeen> {
  return read(chunks, {
    parse: parseResponseHead,
    startLineOf: (head: ResponseHead) => `HTTP/1.${head.minor} ${head.status} ${head.phrase}`,
    framingOf: (head) => responseFraming(head, method),
    isLast: ({ status }) => status >= 200 || status === 101,
  });
}

function read<Head extends { readonly fields: Fields }>(
  chunks: readonly Buffer[],
  { parse, startLineOf, framingOf, isLast }: Kind<Head>,
): Reading<OwnSeen> {
  const messages: OwnSeen[] = [];
  const heads = new HeadReader(parse, LIMITS);
  let open: { head: Head; framing: Framing; reader: BodyReader; payload: Buffer[] } | undefined;
  let over = false;
  const close = ({ head, framing, payload }: NonNullable<typeof open>) => {
    const body = Buffer.concat(payload).toString('latin1');
    const fields = flat(head.fields);
    const own = { framing: framing.kind, fieldLines: head.fields };
    messages.push({ startLine: startLineOf(head), fields, body, ...own });
    over = isLast(head);
    open = undefined;
  };
  try {
    for (const chunk of chunks) {
      for (let rest = chunk; rest.length > 0; ) {
        if (over) return { messages, fault: 'stray' };
        if (open === undefined) {
          const head = heads.push(rest);
          if (head === undefined) break;
          rest = heads.rest;
          heads.reset();
          const framing = framingOf(head);
          open = { head, framing, reader: new BodyReader(framing), payload: [] };
        }
        const { reader, payload } = open;
        rest = rest.subarray(reader.push(rest, (piece) => payload.push(piece)));
        if (reader.done) close(open);
      }
    }
    open?.reader.end();
    if (open !== undefined) close(open);
    return { messages, fault: heads.started ? 'cut' : undefined };
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    return { messages, fault: error.code };
  }
}

function flat(fields: Fields): string[] {
  return Array.from({ length: fields.count }, (_, i) => [fields.name(i), fields.valueAt(i)]).flat();
}

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
