import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { EventAnswer, EventPlace, EventRequest } from '../wire/lambda-events/message.ts';
import { CALL_FAILURES, CallFailure } from './call-failure.ts';
import { readRequest, writeAnswer } from './http-message.ts';

export interface EventServerOptions {
  /** Where the function is, as its events tell. */
  readonly region: string;
  readonly account: string;
  /** Requests at a time; what comes beyond is told to come again. */
  readonly atOnce: number;
  /** @throws CallFailure */
  send(request: EventRequest, place: EventPlace, signal: AbortSignal): Promise<EventAnswer>;
  /** Told of every request that got no answer of the function's. */
  failed(failure: CallFailure): void;
}

/** Answers HTTP requests by giving each to a function as an event. */
export function createEventServer(options: EventServerOptions): Server {
  let underWay = 0;
  const server = createServer(async (request, response) => {
    underWay++;
    try {
      await serve(request, response, options, underWay > options.atOnce);
    } finally {
      underWay--;
    }
  });
  // What is in a tunnel could not be put into an event.
  server.on('connect', (_request, socket) => {
    const body =
      'Sekisho 405: no tunnels. Ask for an http:// URL: the function sends it over TLS.\n';
    const head = `HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    socket.on('error', () => {}).end(head + body);
  });
  return server;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { send, failed, region, account }: EventServerOptions,
  isTooMany: boolean,
): Promise<void> {
  const abort = new AbortController();
  response.on('close', () => abort.abort());
  const place = { requestId: randomUUID(), now: Date.now(), region, account };
  try {
    if (isTooMany) throw new CallFailure('call-throttled', 'too many requests at a time');
    const answer = await send(await readRequest(request), place, abort.signal);
    writeAnswer(response, answer, request.method);
  } catch (error) {
    // Whoever left is told nothing.
    if (abort.signal.aborted) return;
    const failure = asFailure(error);
    failed(failure);
    answerFailure(response, failure);
  }
}

function asFailure(error: unknown): CallFailure {
  if (error instanceof CallFailure) return error;
  return new CallFailure('call-failed', (error as Error).message, { cause: error });
}

function answerFailure(response: ServerResponse, { code }: CallFailure): void {
  const { status, says } = CALL_FAILURES[code];
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Sekisho-Reason': code,
    ...(status === 429 && { 'Retry-After': '1' }),
    Connection: 'close',
  });
  response.end(`Sekisho ${status}: ${code}. ${says}\n`);
}
