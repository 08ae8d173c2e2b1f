import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Work } from './core/work.ts';

/** Of work within one turn of the event loop. */
const SLICE_MS = 2;
/** From one collection to the next: what they move then has just been made, and takes as long as a slice. */
const SLICES_A_COLLECTION = 3;

/**
 * Does work beside the exchanges, which have their turn after every slice of it.
 *
 * Work that makes something large keeps most of what it allocates. V8 would let that come together, some 16 MB of it, and
 * then move all at once, for 20 ms and more. Where a process may ask for it (`--expose-gc`), it is moved bit by bit.
 */
export async function inSlices<T>(work: Work<T>): Promise<T> {
  for (let slice = 1; ; slice++) {
    const until = performance.now() + SLICE_MS;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < until);
    await nextTurn();
    if (slice % SLICES_A_COLLECTION !== 0) continue;
    globalThis.gc?.({ type: 'minor' });
    await nextTurn();
  }
}
