interface Entry<Value> {
  readonly value: Value;
  readonly until: number;
}

/** Values by name, each for a time of its own. The oldest entry makes room when the cache is full. */
export class AnswerCache<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #max: number;
  readonly #now: () => number;

  /** @param now milliseconds of a clock that never goes back */
  constructor(max: number, now: () => number) {
    this.#max = max;
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(name: string): Value | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (this.#now() < entry.until) return entry.value;
    this.#entries.delete(name);
    return undefined;
  }

  set(name: string, value: Value, keepMs: number): void {
    this.#entries.delete(name);
    if (this.#entries.size >= this.#max) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(name, { value, until: this.#now() + keepMs });
  }

  clear(): void {
    this.#entries.clear();
  }
}
