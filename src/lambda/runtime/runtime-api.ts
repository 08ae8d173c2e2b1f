import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One call of a function. */
export interface Invocation {
  readonly requestId: string;
  /** JSON. */
  readonly payload: Buffer;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly functionArn: string;
}

/** What a function gave, or why it gave nothing. */
export interface Invoked {
  /** JSON. */
  readonly payload: Buffer;
  /** Present where it failed: then `payload` tells `errorType` and `errorMessage`. */
  readonly functionError?: 'Unhandled';
}

export interface RuntimeEvents {
  /** The runtime has its function loaded, and asks for the first event. */
  ready(): void;
  answered(requestId: string, invoked: Invoked): void;
  /** The function could not be loaded. */
  failed(error: Buffer): void;
}

const PREFIX = '/2018-06-01/runtime/';
/** What Lambda takes from a function, and a little more so that the runtime learns of the limit. */
const MOST_BYTES = 8 * 1024 * 1024;

/**
 * What a runtime of Lambda asks for events and hands responses to
 * (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). Of one process that runs a function, on loopback.
 */
export class RuntimeApi {
  readonly #server: Server;
  readonly #events: RuntimeEvents;
  #waiting: ServerResponse | undefined;
  #next: Invocation | undefined;
  #isReady = false;

  private constructor(events: RuntimeEvents) {
    this.#events = events;
    this.#server = createServer((request, response) => {
      // A runtime that broke off in the middle of its answer: what became of it, the end of its process tells.
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async open(events: RuntimeEvents): Promise<RuntimeApi> {
    const api = new RuntimeApi(events);
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  /** As in `AWS_LAMBDA_RUNTIME_API`. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Hands an event to the runtime, at once or when it asks. */
  send(invocation: Invocation): void {
    this.#next = invocation;
    this.#hand();
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = '' } = request;
    const path = url.startsWith(PREFIX) ? url.slice(PREFIX.length) : '';
    if (method === 'GET' && path === 'invocation/next') return this.#await(response);
    if (method !== 'POST') return void response.writeHead(404).end();
    const body = await read(request);
    if (body === undefined) return void response.writeHead(413).end();
    const [, requestId = '', what] = /^invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
    if (path === 'init/error') this.#events.failed(body);
    else if (what === undefined) return void response.writeHead(404).end();
    else this.#events.answered(requestId, toInvoked(body, what));
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"status":"OK"}');
  }

  #await(response: ServerResponse): void {
    this.#waiting = response;
    if (!this.#isReady) {
      this.#isReady = true;
      this.#events.ready();
    }
    this.#hand();
  }

  #hand(): void {
    const [response, invocation] = [this.#waiting, this.#next];
    if (response === undefined || invocation === undefined) return;
    this.#waiting = undefined;
    this.#next = undefined;
    response.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': invocation.requestId,
      'lambda-runtime-deadline-ms': String(invocation.deadlineMs),
      'lambda-runtime-invoked-function-arn': invocation.functionArn,
      'lambda-runtime-trace-id': 'Root=1-00000000-000000000000000000000000;Sampled=0',
    });
    response.end(invocation.payload);
  }
}

function toInvoked(payload: Buffer, what: string): Invoked {
  return what === 'error' ? { payload, functionError: 'Unhandled' } : { payload };
}

/** Undefined beyond the limit. */
async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length <= MOST_BYTES) pieces.push(piece);
  }
  return length > MOST_BYTES ? undefined : Buffer.concat(pieces);
}
