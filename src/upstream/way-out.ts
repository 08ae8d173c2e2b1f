import type { Connection, Trail } from '../core/conversation.ts';
import type { Destination } from '../core/destination.ts';
import type { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
import type { Channel } from '../stream/channel.ts';

/** What shall be reached. */
export interface Aim {
  readonly destination: Destination;
  /** The addresses that were decided on, and the only ones that may be reached; none where a parent proxy resolves. */
  readonly addresses: readonly Ip[];
}

export interface DialTerms {
  /** For a connection that can be used, with all that it takes. */
  readonly timeoutMs: number;
  /** For the connection from then on. */
  readonly idleMs: number;
  /** Undefined: nobody's request. */
  readonly trail: Trail | undefined;
  readonly parents: ParentFinder;
}

/** How parent proxies are found: they are the operator's word, so no rule is asked about them. */
export interface ParentFinder {
  readonly resolver: {
    /** @throws UpstreamError `resolve-failed` */
    resolve(host: Hostname): Promise<readonly Ip[]>;
  };
  readonly own: {
    /** Whether this gateway itself listens there. */
    isListener(ip: Ip, port: number): boolean;
  };
}

export type Dialled = Omit<Connection<Channel>, 'reused'>;

/** One way to leave. One file for each kind. */
export interface WayOut {
  /** Unlike that of every other way, also of the one that a reload puts in its place: kept connections are never shared. */
  readonly id: string;
  /** A connection whose other end is the destination. @throws UpstreamError */
  dial(aim: Aim, terms: DialTerms): Promise<Dialled>;
  /** A connection for plain HTTP requests, whose other end may be a parent proxy. @throws UpstreamError */
  dialForRequests(aim: Aim, terms: DialTerms): Promise<Dialled>;
}
