import { clientKey } from '../core/client-key.ts';
import type { Ip } from '../core/ip.ts';

/** Refusals of one client that were counted instead of written. */
export interface Suppressed {
  /** null: clients beyond those that are counted one by one. */
  readonly client: string | null;
  readonly count: number;
  /** The first and the last of them, in milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

interface Count {
  admitted: number;
  suppressed: number;
  from: number;
  to: number;
}

const BURST = 60;
const CLIENTS = 1000;

/** Bounds what callers without a principal can make the gateway write: a burst for each client, then a count. */
export class RefusalFlood {
  readonly #burst: number;
  #counts = new Map<string | null, Count>();

  /** @param writers how many processes share the burst of a client */
  constructor(writers: number) {
    this.#burst = Math.ceil(BURST / writers);
  }

  /** Whether this refusal is still to be written. */
  admit(client: Ip, now: number): boolean {
    const count = this.#countOf(clientKey(client));
    if (count.admitted < this.#burst) {
      count.admitted++;
      return true;
    }
    if (count.suppressed === 0) count.from = now;
    count.suppressed++;
    count.to = now;
    return false;
  }

  /** What was suppressed so far; every client has its burst again. */
  drain(): Suppressed[] {
    const drained = [...this.#counts]
      .filter(([, count]) => count.suppressed > 0)
      .map(([client, { suppressed, from, to }]) => ({ client, count: suppressed, from, to }));
    this.#counts = new Map();
    return drained;
  }

  #countOf(key: string): Count {
    const known = this.#counts.get(key);
    if (known !== undefined) return known;
    if (this.#counts.size < CLIENTS) return this.#begin(key);
    return this.#counts.get(null) ?? this.#begin(null);
  }

  #begin(key: string | null): Count {
    const count = { admitted: 0, suppressed: 0, from: 0, to: 0 };
    this.#counts.set(key, count);
    return count;
  }
}
