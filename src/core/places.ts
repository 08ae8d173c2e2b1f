/** Places of which each key has a limited number, perhaps shared with other processes. */
export interface Places {
  /** Takes one of a key's places. False when there is none left; a promise where others have to be asked. */
  take(key: string, limit: number): boolean | Promise<boolean>;
  /** Gives one back that was taken. */
  leave(key: string): void;
}

/** The places of one process. */
export class OwnPlaces implements Places {
  readonly #taken = new Map<string, number>();

  taken(key: string): number {
    return this.#taken.get(key) ?? 0;
  }

  all(): ReadonlyMap<string, number> {
    return this.#taken;
  }

  take(key: string, limit: number): boolean {
    const before = this.taken(key);
    if (before >= limit) return false;
    this.#taken.set(key, before + 1);
    return true;
  }

  leave(key: string): void {
    const left = this.taken(key) - 1;
    if (left > 0) this.#taken.set(key, left);
    else this.#taken.delete(key);
  }
}
