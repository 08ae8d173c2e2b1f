import type { Connection } from '../core/conversation.ts';
import type { Ip } from '../core/ip.ts';
import type { Channel } from '../stream/channel.ts';
import { leadsTo } from './leads-to.ts';
import type { PoolLimits } from './pool-limits.ts';
import { SessionPool } from './session-pool.ts';

interface Kept {
  readonly connection: Connection<Channel>;
  /** Milliseconds of this process's clock. */
  readonly expires: number;
}

/**
 * HTTP connections that ended their last exchange in order, kept for a later one.
 *
 * The key holds everything that must not be shared: destination, exit, credential, TLS state. A connection is given out
 * only when its address is among those that the exchange at hand was decided on, or neither has any.
 */
export class HttpPool {
  /** Those that serve several exchanges at a time. */
  readonly sessions: SessionPool;
  readonly #kept = new Map<string, Kept[]>();
  readonly #limits: PoolLimits;
  #total = 0;
  #sweep: NodeJS.Timeout | undefined;
  readonly #counts = { reused: 0, missed: 0, discarded: 0 };

  constructor(limits: PoolLimits) {
    this.#limits = limits;
    this.sessions = new SessionPool(limits);
  }

  get size(): number {
    return this.#total;
  }

  /** How many are kept, how many requests found one or none, and how many connections were let go. */
  get stats() {
    const { sessions, streams, reused, discarded } = this.sessions.stats;
    const counts = this.#counts;
    return {
      kept: this.#total,
      sessions,
      streams,
      reused: counts.reused + reused,
      missed: counts.missed,
      discarded: counts.discarded + discarded,
    };
  }

  /** The connection that was used last, since it is the likeliest to be alive. */
  take(key: string, addresses: readonly Ip[]): Connection<Channel> | undefined {
    const kept = this.#kept.get(key);
    for (let i = (kept?.length ?? 0) - 1; kept !== undefined && i >= 0; i--) {
      const { connection } = kept[i] as Kept;
      if (!leadsTo(connection, addresses)) continue;
      this.#forget(key, kept, i);
      this.#counts.reused++;
      return connection;
    }
    this.#counts.missed++;
    return undefined;
  }

  /** Keeps a connection on which nothing is under way; beyond the limits it is closed instead. */
  put(key: string, connection: Connection<Channel>): void {
    const { stream } = connection;
    const kept = this.#kept.get(key) ?? [];
    if (
      stream.disturbed ||
      kept.length >= this.#limits.perKey ||
      this.#total >= this.#limits.total
    ) {
      this.#counts.discarded++;
      stream.destroy();
      return;
    }
    const entry = {
      connection: connection.reused ? connection : { ...connection, reused: true },
      expires: performance.now() + this.#limits.idleMs,
    };
    // Bytes that arrive now answer no request: whoever sent them must not reach the next one.
    stream.watch(() => this.#drop(key, entry));
    this.#kept.set(key, kept);
    kept.push(entry);
    this.#total++;
    this.#sweep ??= setTimeout(this.#dropExpired, this.#limits.idleMs).unref();
  }

  /** One timer for all: to set one for every request costs more than the rest of the pool. */
  readonly #dropExpired = (): void => {
    this.#sweep = undefined;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, kept] of this.#kept) {
      // In the order in which they were put: the first one expires first.
      for (let first = kept[0]; first !== undefined; first = kept[0]) {
        if (first.expires > now) {
          next = Math.min(next, first.expires);
          break;
        }
        this.#drop(key, first);
      }
    }
    if (this.#total > 0) this.#sweep = setTimeout(this.#dropExpired, Math.ceil(next - now)).unref();
  };

  close(): void {
    clearTimeout(this.#sweep);
    this.sessions.close();
    for (const kept of this.#kept.values())
      for (const { connection } of kept) connection.stream.destroy();
  }

  #drop(key: string, entry: Kept): void {
    const kept = this.#kept.get(key);
    const i = kept?.indexOf(entry) ?? -1;
    if (kept === undefined || i < 0) return;
    this.#forget(key, kept, i);
    this.#counts.discarded++;
    entry.connection.stream.destroy();
  }

  #forget(key: string, kept: Kept[], i: number): void {
    const entry = kept[i] as Kept;
    kept.splice(i, 1);
    this.#total--;
    if (kept.length === 0) this.#kept.delete(key);
    entry.connection.stream.unwatch();
  }
}
