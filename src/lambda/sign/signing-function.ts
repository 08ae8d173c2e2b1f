import { SekishoError } from '../../core/errors.ts';
import { Ip } from '../../core/ip.ts';
import { TROUBLES, type Trouble } from '../../core/reasons.ts';
import { Refusal } from '../../core/refusal.ts';
import { credentialsFrom, openSecretStore } from '../../credential-sources.ts';
import type { InForce } from '../../in-force.ts';
import type { Client, ProxyContext } from '../../listener/forward-proxy/client.ts';
import { serveClient } from '../../listener/forward-proxy/connection.ts';
import { Drain } from '../../listener/forward-proxy/drain.ts';
import { Unreadable } from '../../listener/forward-proxy/unreadable.ts';
import type { Logger } from '../../log.ts';
import { Channel } from '../../stream/channel.ts';
import { EventFault } from '../../wire/lambda-events/event-fault.ts';
import { formatOf } from '../../wire/lambda-events/formats.ts';
import type { JsonObject } from '../../wire/lambda-events/json.ts';
import type { EventAnswer, EventFormat, EventRequest } from '../../wire/lambda-events/message.ts';
import { EventSocket } from './event-socket.ts';
import { FunctionGate } from './gate.ts';
import { fromBytes, toBytes } from './http-bytes.ts';
import { type FunctionPolicy, functionPolicy, type PolicySurroundings } from './policy.ts';

export interface SigningSurroundings extends Omit<PolicySurroundings, 'store'> {
  readonly log: Logger;
  /** Takes a line of the record. Rejects where it is not written. */
  write(line: string): Promise<void>;
  /**
   * Milliseconds since the epoch. What is kept grows old by this clock: a steady one stands still for as long as a function is
   * frozen.
   */
  readonly now: () => number;
}

/** What Lambda tells of an invocation. */
export interface InvocationContext {
  getRemainingTimeInMillis(): number;
}

/** What Lambda lets a function answer (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). */
const MOST_BYTES = 6_291_556;
/** Of the time that is left, what it takes to record and tell that it ran out. */
const MARGIN_MS = 500;
/** Of that, how long the exchange has to end, which may wait for the source of a secret. */
const GRACE_MS = 200;
/** What JSON and base64 make of a byte at most: six characters, of a control character. */
const MOST_PER_BYTE = 6;
/** Of a response, besides headers and body. */
const FRAME_BYTES = 1024;
/** Whoever invokes the function by itself has no address. */
const NOBODY = Ip.parse('127.0.0.1') as Ip;
const METER = { read() {} };
const NO_BYTES = Buffer.alloc(0);

/** Decides on the requests in events, puts credentials on those that a rule allows, and answers in the events' own form. */
export class SigningFunction {
  readonly #policy: FunctionPolicy;
  readonly #gate: FunctionGate;
  readonly #log: Logger;

  /** @throws SekishoError naming what is wrong with the policy */
  constructor(around: SigningSurroundings) {
    const { env, log, write, now } = around;
    const store = openSecretStore(env, METER, log, now);
    this.#log = log;
    this.#policy = functionPolicy({ ...around, store });
    this.#gate = new FunctionGate({
      log,
      write,
      now,
      credentials: credentialsFrom(store, env, log),
    });
  }

  /** @throws EventFault for an event that carries no request */
  async handle(event: unknown, context: InvocationContext): Promise<JsonObject> {
    const format = formatOf(event);
    const answer = await this.#answer(format, event as JsonObject, context);
    await this.#gate.written();
    return format.writeAnswer(fits(format, answer) ? answer : trouble('response-too-large'));
  }

  async #answer(
    format: EventFormat,
    event: JsonObject,
    context: InvocationContext,
  ): Promise<EventAnswer> {
    let inForce: InForce;
    try {
      inForce = await this.#policy.current();
    } catch (error) {
      if (!(error instanceof SekishoError)) throw error;
      this.#log.error({ detail: error.message }, 'there is no policy to decide by');
      return trouble('policy-unavailable');
    }
    const limitMs = Math.max(0, context.getRemainingTimeInMillis() - MARGIN_MS);
    const read = readEvent(format, event);
    if (read instanceof Refusal) {
      return refuseUnread(this.#gate.contextFor(inForce, { limitMs, judge() {} }), read);
    }
    const { method } = read.request;
    const socket = new EventSocket(read.bytes, MOST_BYTES);
    const judge = () => {
      if (socket.brokenBy !== undefined) return socket.brokenBy;
      return fits(format, fromBytes(socket.written, method)) ? undefined : 'response-too-large';
    };
    const proxy = this.#gate.contextFor(inForce, { limitMs, judge });
    await this.#serve(clientOf(socket, read.request), socket, proxy, limitMs);
    const bytes = await socket.answered;
    if (bytes !== undefined) return fromBytes(bytes, method);
    return trouble(socket.brokenBy ?? 'upstream-reset');
  }

  /** Resolves before the function's time is over. */
  async #serve(
    client: Client,
    socket: EventSocket,
    proxy: ProxyContext,
    limitMs: number,
  ): Promise<void> {
    const late = Promise.withResolvers<void>();
    const overdue = () => {
      this.#log.error('the outcome of an exchange is missing: the time of the function is over');
      late.resolve();
    };
    let timer = setTimeout(() => {
      socket.breakOff('idle-timeout');
      timer = setTimeout(overdue, GRACE_MS);
    }, limitMs);
    const served = serveClient(client, proxy, new Drain());
    await Promise.race([served, late.promise]);
    clearTimeout(timer);
  }
}

/** Whether Lambda lets a function answer so much. */
function fits(format: EventFormat, answer: EventAnswer): boolean {
  // As nearly all do, which then need not be written twice. Headers may stand in two maps.
  const heads = answer.headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  const most = MOST_PER_BYTE * (answer.body.length + 4 * heads) + FRAME_BYTES;
  if (most <= MOST_BYTES) return true;
  return Buffer.byteLength(JSON.stringify(format.writeAnswer(answer))) <= MOST_BYTES;
}

type Read = { readonly request: EventRequest; readonly bytes: Buffer };

function readEvent(format: EventFormat, event: JsonObject): Read | Refusal {
  try {
    const request = format.readRequest(event);
    return { request, bytes: toBytes(request) };
  } catch (error) {
    if (error instanceof EventFault) return new Refusal('request-invalid', error.message);
    if (error instanceof Refusal) return error;
    throw error;
  }
}

/** On record like every other refusal. */
async function refuseUnread(proxy: ProxyContext, refusal: Refusal): Promise<EventAnswer> {
  const socket = new EventSocket(NO_BYTES, MOST_BYTES);
  const client = clientOf(socket, undefined);
  await proxy.run(new Unreadable(client, proxy, undefined, refusal));
  client.channel.end();
  return fromBytes((await socket.answered) as Buffer, '');
}

function clientOf(socket: EventSocket, request: EventRequest | undefined): Client {
  const ip = Ip.parse(request?.client ?? '') ?? NOBODY;
  return { channel: new Channel(socket, 0), ip, port: 0, peer: ip };
}

/** What went wrong when there is nothing more to put on record. */
function trouble(code: Trouble): EventAnswer {
  const { status, says } = TROUBLES[code];
  return {
    status,
    headers: [
      ['Sekisho-Reason', code],
      ['Content-Type', 'text/plain; charset=utf-8'],
    ],
    body: Buffer.from(`Sekisho ${status}: ${code}. ${says}\n`),
  };
}
