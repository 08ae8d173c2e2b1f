import type { CountedHead } from '../audit/segment.ts';
import type { Bundle } from '../candidate.ts';
import type { Bind } from '../config/config.ts';
import type { MetricSnapshot } from '../metrics/snapshot.ts';
import type { Handed } from './calls.ts';

/** What a worker is to be. */
export interface Order {
  readonly number: number;
  /** How many workers the gateway has. */
  readonly count: number;
  readonly bundle: Bundle;
  /** What the gateway listens on besides. */
  readonly own: readonly Bind[];
  /** A drain is about to follow. */
  readonly leaving: boolean;
}

/** An address of a listener, or the socket that is bound to it already where one goes along. */
export interface ListenOrder {
  readonly listener: string;
  readonly bind: Bind;
  /** Names the socket from then on. */
  readonly socket: string;
}

export interface Pulse {
  readonly metrics: MetricSnapshot;
  /** Connections of clients. */
  readonly connections: number;
}

export interface PlaceOrder {
  readonly listener: string;
  readonly key: string;
  readonly limit: number;
}

/** What the primary asks of a worker. */
export interface WorkerCalls {
  open(order: Order): void;
  listen(order: ListenOrder): Handed<Bind>;
  /** Accepts no more from a socket; its connections stay. */
  unlisten(socket: string): void;
  prepare(bundle: Bundle): void;
  swap(): number;
  discard(): void;
  heads(): readonly CountedHead[];
  forget(segments: readonly string[]): void;
  find(id: string): readonly string[];
  metrics(): MetricSnapshot;
  reopenLogs(): void;
  leave(): void;
  drain(limitMs: number): void;
  /** The segments as they ended. */
  close(): readonly CountedHead[];
}

/** What a worker asks of the primary. */
export interface PrimaryCalls {
  /** It is alive, and this is what it has counted. */
  pulse(pulse: Pulse): void;
  /** The lines of an exchange in the memory of the other workers. */
  find(id: string): readonly string[];
  takePlace(order: PlaceOrder): boolean;
  leavePlace(order: Omit<PlaceOrder, 'limit'>): void;
}
