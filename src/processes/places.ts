import { OwnPlaces, type Places } from '../core/places.ts';
import type { PlaceOrder } from './protocol.ts';

/**
 * How many of a limit's places each worker gives away without asking: a quarter of its share. Most keys never have more, so
 * that nobody is asked; and since the system spreads connections evenly, a key that comes near its limit has used up
 * these in every worker.
 */
function allowance(limit: number, workers: number): number {
  return Math.floor(limit / workers / 4);
}

/** What the primary is asked, by a worker that has given all of its own places away. */
export interface Lender {
  take(order: PlaceOrder): Promise<boolean>;
  leave(order: Omit<PlaceOrder, 'limit'>): void;
}

/** The places of a listener, of which this worker has some, and the primary the rest. */
export class SharedPlaces implements Places {
  readonly #listener: string;
  readonly #workers: number;
  readonly #lender: Lender;
  readonly #own = new OwnPlaces();
  readonly #lent = new OwnPlaces();

  constructor(listener: string, workers: number, lender: Lender) {
    this.#listener = listener;
    this.#workers = workers;
    this.#lender = lender;
  }

  take(key: string, limit: number): boolean | Promise<boolean> {
    return this.#own.take(key, allowance(limit, this.#workers)) || this.#borrow(key, limit);
  }

  /** Lent places go back first: others may wait for them. */
  leave(key: string): void {
    if (this.#lent.taken(key) === 0) return this.#own.leave(key);
    this.#lent.leave(key);
    this.#lender.leave({ listener: this.#listener, key });
  }

  /** @returns false also where the primary does not answer: closed */
  async #borrow(key: string, limit: number): Promise<boolean> {
    const listener = this.#listener;
    const granted = await this.#lender.take({ listener, key, limit }).catch(() => false);
    if (granted) this.#lent.take(key, Number.POSITIVE_INFINITY);
    return granted;
  }
}

/** The places that workers share, as the primary lends them. */
export class LentPlaces {
  readonly #workers: number;
  readonly #lent = new OwnPlaces();
  /** By worker, so that a dead one's come back. */
  readonly #byWorker = new Map<number, OwnPlaces>();

  constructor(workers: number) {
    this.#workers = workers;
  }

  take(worker: number, { listener, key, limit }: PlaceOrder): boolean {
    const name = nameOf(listener, key);
    const shared = limit - allowance(limit, this.#workers) * this.#workers;
    return this.#lent.take(name, shared) && this.#of(worker).take(name, Number.POSITIVE_INFINITY);
  }

  leave(worker: number, { listener, key }: Omit<PlaceOrder, 'limit'>): void {
    const name = nameOf(listener, key);
    this.#of(worker).leave(name);
    this.#lent.leave(name);
  }

  /** The worker is gone, and with it all that took places. */
  forget(worker: number): void {
    for (const [name, count] of this.#of(worker).all()) {
      for (let i = 0; i < count; i++) this.#lent.leave(name);
    }
    this.#byWorker.delete(worker);
  }

  #of(worker: number): OwnPlaces {
    const known = this.#byWorker.get(worker) ?? new OwnPlaces();
    this.#byWorker.set(worker, known);
    return known;
  }
}

function nameOf(listener: string, key: string): string {
  return `${listener} ${key}`;
}
