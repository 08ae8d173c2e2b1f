/** What stands for all values beyond the first so many. */
const REST = 'other';

/** A label whose values come from a configuration that may change for years, so that nobody knows how many there will be. */
export class BoundedLabel {
  readonly #seen = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** The value itself, or `other` once there are too many. */
  of(value: string): string {
    if (this.#seen.has(value)) return value;
    if (this.#seen.size >= this.#most) return REST;
    this.#seen.add(value);
    return value;
  }
}
