import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { type Field, readMessage } from './protobuf.ts';

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  /** Nanoseconds since the epoch. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly events: readonly string[];
  readonly status: { readonly code: number; readonly message: string };
  /** Of the resource. */
  readonly resource: Readonly<Record<string, string | number>>;
}

/** An OTLP/HTTP collector on loopback that keeps what it took. */
export interface Collector {
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** The header fields of every request, also of those that were refused. */
  readonly requests: readonly IncomingMessage['headers'][];
  /** What it answers from now on. */
  answer(how: Answer): void;
  /** The first span that fits, once it has come. */
  span(fits: (span: CollectedSpan) => boolean): Promise<CollectedSpan>;
  /** Waits until so many requests have come. */
  asked(times: number): Promise<void>;
  close(): Promise<void>;
}

/** A status and fields, or nothing ever. */
export type Answer =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | 'silence';

export async function startCollector(port = 0): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const requests: IncomingMessage['headers'][] = [];
  const looks = new Set<() => void>();
  let how: Answer = { status: 200 };
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request);
    requests.push(request.headers);
    if (how !== 'silence') {
      if (how.status === 200) spans.push(...readSpans(body));
      response.writeHead(how.status, how.headers).end();
    }
    for (const look of looks) look();
  };
  const server = createServer((request, response) => void serve(request, response));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const until = <T>(find: () => T | undefined) =>
    new Promise<T>((resolve) => {
      const look = () => {
        const found = find();
        if (found === undefined) return;
        looks.delete(look);
        resolve(found);
      };
      looks.add(look);
      look();
    });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    answer(next) {
      how = next;
    },
    span: (fits) => until(() => spans.find(fits)),
    asked: async (times) => {
      await until(() => (requests.length >= times ? true : undefined));
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

// https://github.com/open-telemetry/opentelemetry-proto: numbers of ExportTraceServiceRequest and below.
function readSpans(body: Buffer): CollectedSpan[] {
  return messages(readMessage(body), 1).flatMap((resourceSpans) => {
    const resource = attributes(messages(resourceSpans, 1)[0] ?? new Map(), 1);
    return messages(resourceSpans, 2).flatMap((scopeSpans) =>
      messages(scopeSpans, 2).map((span) => readSpan(span, resource)),
    );
  });
}

type Message = Map<number, Field[]>;

function readSpan(span: Message, resource: CollectedSpan['resource']): CollectedSpan {
  const [status] = messages(span, 15);
  return {
    traceId: bytes(span, 1).toString('hex'),
    spanId: bytes(span, 2).toString('hex'),
    parentSpanId: bytes(span, 4).toString('hex'),
    name: bytes(span, 5).toString(),
    kind: Number(span.get(6)?.[0] ?? 0),
    start: number(span, 7),
    end: number(span, 8),
    attributes: attributes(span, 9),
    events: messages(span, 11).map((event) => bytes(event, 2).toString()),
    status: {
      code: Number(status?.get(3)?.[0] ?? 0),
      message: status === undefined ? '' : bytes(status, 2).toString(),
    },
    resource,
  };
}

function attributes(message: Message, field: number): Record<string, string | number> {
  return Object.fromEntries(
    messages(message, field).map((pair) => {
      const value = messages(pair, 2)[0] ?? new Map();
      const text = value.get(1)?.[0];
      return [
        bytes(pair, 1).toString(),
        text === undefined ? Number(value.get(3)?.[0]) : String(text),
      ];
    }),
  );
}

function messages(message: Message, field: number): Message[] {
  return (message.get(field) ?? []).map((value) => readMessage(value as Buffer));
}

function bytes(message: Message, field: number): Buffer {
  return (message.get(field)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
}

function number(message: Message, field: number): bigint {
  return (message.get(field)?.[0] as bigint | undefined) ?? 0n;
}
