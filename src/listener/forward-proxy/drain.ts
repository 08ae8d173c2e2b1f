import { Bag } from '../../core/bag.ts';

/** What waits for a request and can be told that none is wanted any more. */
export interface Waiting {
  abandon(): void;
}

/** The end of serving, in order: what is under way goes on, and nothing follows it. */
export class Drain {
  begun = false;
  /** Who waits for a request that shall not come. */
  readonly waiting = new Bag<Waiting>();

  begin(): void {
    if (this.begun) return;
    this.begun = true;
    for (const one of this.waiting) one.abandon();
  }

  /** Begins with another one, of which it is a part. @returns to be called at its end */
  join(whole: Drain): () => void {
    if (whole.begun) this.begin();
    const place = whole.waiting.add({ abandon: () => this.begin() });
    return () => whole.waiting.delete(place);
  }
}
