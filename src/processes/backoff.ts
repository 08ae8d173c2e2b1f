/** One that lived so long did not die of its start. */
const STABLE_MS = 10_000;
const FIRST_MS = 250;
const MOST_MS = 30_000;

/** How long to wait before a process that died is started again: not at all after a life, ever longer after none. */
export class Backoff {
  #failures = 0;

  /** @param livedMs how long the process lived @returns milliseconds */
  next(livedMs: number): number {
    if (livedMs >= STABLE_MS) this.#failures = 0;
    const delayMs = this.#failures === 0 ? 0 : FIRST_MS * 2 ** (this.#failures - 1);
    this.#failures++;
    return Math.min(delayMs, MOST_MS);
  }
}
