import { join } from 'node:path';
import type { SegmentWriters } from './audit/checkpoints.ts';
import type { OwnEvent } from './audit/event.ts';
import type { Memory } from './audit/trail.ts';
import type { Candidate } from './candidate.ts';
import type { Bind, Config } from './config/config.ts';
import type { Environment } from './config/surroundings.ts';
import { OwnPlaces, type Places } from './core/places.ts';
import type { Examined } from './examine.ts';
import type { Logger } from './log.ts';
import type { MetricSnapshot } from './metrics/snapshot.ts';

export interface PrimarySurroundings {
  readonly env: Environment;
  readonly log: Logger;
  /** Reads the configuration as it now stands. Without it the gateway keeps what it started with. */
  readonly reread?: (before: Config) => Promise<Examined>;
}

/** How one of the processes that serve is. */
export interface WorkerState {
  /** From 1 on. */
  readonly number: number;
  /** null: there is none at the moment. */
  readonly pid: number | null;
  readonly state: 'starting' | 'accepting' | 'draining' | 'backing-off';
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** How often it was replaced. */
  readonly restarts: number;
  /** Of clients, when it was last heard of. */
  readonly connections: number;
  /** When that was: ISO 8601, UTC; null: not yet. Once a second, while it does not hang. */
  readonly heardAt: string | null;
}

/**
 * What serves the exchanges of a gateway, as its primary sees it: this very process, or several others that act as one.
 */
export interface Workers extends SegmentWriters, Memory {
  /**
   * Accepts clients.
   *
   * @param own what the gateway listens on besides: nobody is to be led there
   * @returns what each listener is bound to
   * @throws SekishoError naming what cannot be had
   */
  start(own: readonly Bind[]): Promise<ReadonlyMap<string, readonly Bind[]>>;
  states(): readonly WorkerState[];
  /** Calls when a process is gone without having told where its segments end. */
  onLost(listener: () => void): void;
  /** Makes another configuration ready beside the one in force, everywhere. @throws SekishoError when one cannot */
  prepare(candidate: Candidate): Promise<void>;
  /** Puts what was prepared in force for all exchanges from now on. Gives the number of tunnels that this ended. */
  swap(): Promise<number>;
  /** Lets go of what was prepared. */
  discard(): void;
  /** Puts something on record that is no exchange. @throws Refusal `audit-unavailable` */
  note(event: OwnEvent): Promise<void>;
  metrics(): Promise<readonly MetricSnapshot[]>;
  /** Goes on in new files where logs beside the record were moved away. */
  reopenLogs(): Promise<void>;
  /** A drain is about to follow: from now on every answer is the last one of its connection, and says so. */
  leave(): void;
  /** Stops accepting; exchanges may finish within a limit. Resolves when all are on record. */
  drain(limitMs: number): Promise<void>;
  /** Ends all that is left, and with it the record. */
  close(): Promise<void>;
}

/** What one worker asks of the others. */
export interface Peers {
  /** How many workers there are, this one included. */
  readonly count: number;
  /** The lines of an exchange in the memory of the others. */
  find(id: string): Promise<readonly string[]>;
  /** The places that a listener has for connections in all of them together. */
  places(listener: string): Places;
}

/** A worker that is alone. */
export const ALONE: Peers = { count: 1, find: async () => [], places: () => new OwnPlaces() };

export function auditDir({ gateway }: Config): string {
  return join(gateway.dataDir, 'audit');
}
