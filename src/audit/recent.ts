/** The lines of the latest exchanges, so that `why` answers at once, also for refusals that were not written. */
export class RecentExchanges {
  readonly #capacity: number;
  readonly #lines = new Map<string, string[]>();

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  add(id: string, line: string): void {
    const lines = this.#lines.get(id);
    if (lines !== undefined) {
      lines.push(line);
      return;
    }
    if (this.#lines.size >= this.#capacity) {
      const [oldest] = this.#lines.keys();
      this.#lines.delete(oldest as string);
    }
    this.#lines.set(id, [line]);
  }

  /** The events of an exchange in the order in which they happened; empty when it is not known here. */
  find(id: string): readonly string[] {
    return this.#lines.get(id) ?? [];
  }
}
