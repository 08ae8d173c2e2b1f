import type { SecureContext } from 'node:tls';
import type { Decision } from './decision.ts';
import type { Destination } from './destination.ts';
import type { BodyChange, GrantedCredential } from './injection.ts';
import type { Ip } from './ip.ts';
import type { Principal } from './principal.ts';
import type { Trouble } from './reasons.ts';
import type { Refusal } from './refusal.ts';
import type { OnwardTrace } from './trace-context.ts';

/** What a client presents to be recognised by. */
export interface Evidence {
  /** The client's address: the one of the PROXY header where a trusted balancer sent one, else the peer's. */
  readonly client: Ip;
  /** Every value of a header, in order, as sent. `name` in lower case. */
  header(name: string): readonly string[];
}

/** The part of a request that rules with methods or paths look at. */
export interface ReadableRequest {
  readonly method: string;
  /** Path without query, as it will be sent. */
  readonly path: string;
}

/**
 * Why what came back to a request with a credential could not be looked at whole: `coding`, which nobody here can undo; `part`
 * of a body (206), in which a piece of a secret would not be recognised.
 */
export type Unmasked = 'coding' | 'part';

/** What the record says of how an exchange went. */
export interface Outcome {
  /** The status that the client was answered, or null when it got none. */
  readonly status: number | null;
  readonly error: Trouble | null;
  /** Payload bytes from the client to the destination. */
  readonly bytesUp: number;
  /** Payload bytes from the destination to the client. */
  readonly bytesDown: number;
  readonly tls?: { readonly sni: string | null; readonly alpn: readonly string[] };
  /** What the error was, for the record alone. */
  readonly detail?: string | undefined;
  /** Undefined where all was looked at, or there was no credential. */
  readonly unmasked?: Unmasked | undefined;
}

/** What a refusal may say to the client. */
export interface RefusalNotice {
  readonly id: string;
  readonly decision: Decision;
  readonly principal: Principal | undefined;
  /** Whom to ask: the owner of the rule, of the principal, or the gateway's contact. */
  readonly contact: string | undefined;
}

/** A connection on the way out that was decided on. `Stream` is a socket or what stands for one. */
export interface Connection<Stream> {
  readonly stream: Stream;
  /** The destination's, as it was decided on; undefined where the parent proxy resolves. */
  readonly address: Ip | undefined;
  /** The parent proxy that was dialled, where one stands between. */
  readonly parent?: ParentLeg;
  /** What the destination speaks on it, where that is not HTTP/1. */
  readonly protocol?: 'h2';
  /** Taken from the pool: it may turn out to be dead. */
  readonly reused: boolean;
  /** Present where others share what it is a part of: for an exchange that ended in order, and has nothing against that. */
  readonly giveBack?: () => void;
}

export interface ParentLeg {
  /** Its own address. */
  readonly address: Ip;
  /** Present where the connection ends at the parent, which takes requests in absolute form; else it was tunnelled through. */
  readonly absolute?: AbsoluteForm;
}

export interface AbsoluteForm {
  /** Adds what the parent wants to know the gateway by to the head of a request. */
  authorize(head: { set(name: string, value: string): unknown }): void;
}

/** The Via field for the next proxy: all that a request has passed, this gateway last (RFC 9110 7.6.3). */
export type Trail = () => string;

/** How a tunnel went. Half-closes are honoured, so both directions end on their own. */
export interface TunnelEnd {
  readonly error: Trouble | null;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** What the error was, for the record alone. */
  readonly detail?: string;
}

/** The permission to go out, once it is on record. */
export interface Grant<Stream> {
  readonly id: string;
  readonly decision: Decision;
  readonly principal: Principal | undefined;
  /** Whom to ask about it. */
  readonly contact: string | undefined;
  /** Lower-case names of headers that tell who is calling: they must never reach a destination. */
  readonly identityHeaders: ReadonlySet<string>;
  /** undefined: a request keeps the trace context that it came with. */
  readonly trace: OnwardTrace | undefined;
  /** What the request takes on; then the destination is reached over TLS. */
  readonly credential: GrantedCredential | undefined;
  /** What a tunnel is opened with: TLS in the destination's name. Undefined: it stays closed. */
  readonly intercept: (() => Promise<SecureContext>) | undefined;
  /** A new connection whose other end is the destination. @throws UpstreamError */
  dial(trail: Trail): Promise<Connection<Stream>>;
  /**
   * A connection for one HTTP request, kept by an earlier exchange or new, whose other end may be a parent proxy.
   *
   * @param protocol what the request came in: then the destination is offered it as well, and picks
   * @throws UpstreamError
   */
  borrow(
    trail: Trail,
    which?: 'kept or new' | 'new',
    protocol?: 'h2' | undefined,
  ): Promise<Connection<Stream>>;
  /** Gives a borrowed connection back for a later exchange. Whoever does not call it destroys the stream. */
  giveBack(connection: Connection<Stream>): void;
  /**
   * Passes bytes both ways until both sides are done. Never rejects.
   *
   * @param early what the client sent already
   * @param down what becomes of bytes on their way to the client; undefined: they go on as they are
   */
  tunnel(
    client: Stream,
    upstream: Connection<Stream>,
    early: Buffer,
    down?: BodyChange,
  ): Promise<TunnelEnd>;
  /**
   * A tunnel begins whose requests are read here, and decided on one by one.
   *
   * @param end ends it in order: a policy came in force that would not have it read
   * @returns to be called at its end
   */
  opened(end: () => void): () => void;
  /** The destination begins to answer the request. */
  answered(): void;
  /** Records a later decision of this exchange (`hello`, `request`), which then is the one that stands. */
  record(decision: Decision): Promise<void>;
}

/**
 * One request, tunnel or session as its listener's protocol frames it: all that `exchange.ts` needs to know of it.
 *
 * `refuse` and `fail` answer the client in the protocol's own form; `open` may fail before anything was answered;
 * `relay` ends with the outcome, also when a leg broke.
 */
export interface Conversation<Stream> {
  readonly listener: string;
  /** The client's address and port. */
  readonly client: { readonly ip: Ip; readonly port: number };
  /** The peer of the TCP connection: a balancer, or the client itself. */
  readonly peer: Ip;
  /** What the client asks to do: `CONNECT`, `GET`, ... */
  readonly action: string;
  /** Where to, or what is wrong with the request that should have said so. */
  readonly destination: Destination | Refusal;
  /** Undefined when what will pass cannot be read (a tunnel). */
  readonly request: ReadableRequest | undefined;
  /** What the request came in, where that was not HTTP/1. */
  readonly protocol?: 'h2' | undefined;
  /** Every `traceparent` that it came with; undefined where the protocol has none. */
  readonly traceparent?: readonly string[];
  evidence(): Evidence;
  refuse(notice: RefusalNotice): Promise<Outcome>;
  /** Answers trouble on the far side. */
  fail(error: Trouble, id: string): Promise<Outcome>;
  open(grant: Grant<Stream>): Promise<void>;
  relay(): Promise<Outcome>;
}
