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

  constructor(workers: number) {
    this.#workers = workers;
  }

  /** For one process: none that follows it has to do with what it borrowed. */
  borrower(): Borrower {
    return new Borrower(this.#lent, this.#workers);
  }
}

/** What one process has borrowed. */
export class Borrower {
  readonly #all: OwnPlaces;
  readonly #workers: number;
  readonly #own = new OwnPlaces();
  #ended = false;

  constructor(all: OwnPlaces, workers: number) {
    this.#all = all;
    this.#workers = workers;
  }

  take({ listener, key, limit }: PlaceOrder): boolean {
    const name = nameOf(listener, key);
    const shared = limit - allowance(limit, this.#workers) * this.#workers;
    return !this.#ended && this.#all.take(name, shared) && this.#own.take(name, limit);
  }

  leave({ listener, key }: Omit<PlaceOrder, 'limit'>): void {
    const name = nameOf(listener, key);
    // What comes late from a process that is gone was given back with the rest.
    if (this.#own.taken(name) === 0) return;
    this.#own.leave(name);
    this.#all.leave(name);
  }

  /** The process is gone, and with it all that took places. */
  end(): void {
    this.#ended = true;
    for (const [name, count] of [...this.#own.all()]) {
      for (let i = 0; i < count; i++) {
        this.#own.leave(name);
        this.#all.leave(name);
      }
    }
  }
}

function nameOf(listener: string, key: string): string {
  return `${listener} ${key}`;
}
