import { Agent as HttpAgent } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { FORMATS } from '../wire/lambda-events/formats.ts';
import type { CallFailure } from './call-failure.ts';
import { createEventServer } from './event-server.ts';
import { FunctionCaller, type FunctionOptions } from './function-caller.ts';

export interface TransportOptions extends FunctionOptions {
  /** Told of every request that got no answer of the function's. */
  readonly failed?: (failure: CallFailure) => void;
}

/** As undici's `buildConnector.connector`: what makes the connections of its clients. */
export type Connector = (
  options: unknown,
  connected: (...given: [error: null, socket: Duplex] | [error: Error, socket: null]) => void,
) => void;

/** Ways to send HTTP requests by a function, for programs that take an agent or a dispatcher. */
export interface FunctionTransport {
  /**
   * For undici, and Node's `fetch` with a dispatcher of it: `new Agent({ connect: transport.connector })`. URLs may be
   * `https:` as they would be without; nothing leaves this process but the call of the function.
   */
  readonly connector: Connector;
  /** For `http.request`, and what is made of it: URLs with `http:`. */
  readonly httpAgent: HttpAgent;
  /** The same for `https.request`: URLs with `https:`. */
  readonly httpsAgent: HttpAgent;
  close(): void;
}

/**
 * Sends requests by a function: who may call it may use the APIs that it signs for. The caller has the permission of IAM
 * `lambda:InvokeFunction`, and no token.
 */
export function functionTransport(options: TransportOptions): FunctionTransport {
  const caller = new FunctionCaller(options, FORMATS['signing-proxy']);
  const server = createEventServer({
    region: '',
    account: '',
    // How many at a time is what the program's own agent or dispatcher is told.
    atOnce: Number.POSITIVE_INFINITY,
    send: (request, place, signal) => caller.send(request, place, signal),
    failed: options.failed ?? (() => {}),
  });
  const connect = (): Duplex => {
    const [near, far] = duplexPair();
    server.emit('connection', far);
    return near;
  };
  const agents = {
    httpAgent: new FunctionAgent('http:', connect),
    httpsAgent: new FunctionAgent('https:', connect),
  };
  return {
    // Later, as a connection takes: undici does not go on with one that stands at once.
    connector: (_options, connected) => queueMicrotask(() => connected(null, connect())),
    ...agents,
    close() {
      agents.httpAgent.destroy();
      agents.httpsAgent.destroy();
      server.closeAllConnections();
      caller.close();
    },
  };
}

/** Connections within this process, to what answers in the place of every host. */
class FunctionAgent extends HttpAgent {
  readonly protocol: string;
  readonly #connect: () => Duplex;

  constructor(protocol: string, connect: () => Duplex) {
    super({ keepAlive: false });
    this.protocol = protocol;
    this.#connect = connect;
  }

  override createConnection(): Duplex {
    return this.#connect();
  }
}
