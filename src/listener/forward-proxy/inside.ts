import type { TLSSocket } from 'node:tls';
import type { Evidence } from '../../core/conversation.ts';
import type { Destination } from '../../core/destination.ts';
import type { Channel } from '../../stream/channel.ts';
import type { Drain } from './drain.ts';
import type { Rejection } from './rejection.ts';

/** A tunnel whose requests are read: the identity of its CONNECT is theirs, and its host is the only one. */
export interface Inside {
  readonly destination: Destination;
  readonly evidence: Evidence;
  /** What they come on: the client's connection, the TLS in it that was opened, or that TLS where HTTP/2 is spoken in it. */
  readonly carrier: Channel | TLSSocket;
  /** Ends this tunnel alone. */
  readonly drain: Drain;
}

/** Reads what comes inside a tunnel as requests, until either side has had enough. @returns why there was not even one */
export type ServeInside = (inside: Inside) => Promise<Rejection | undefined>;
