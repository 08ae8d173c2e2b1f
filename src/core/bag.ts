/**
 * What comes and goes by the thousand a second, each found by the place it was given.
 *
 * Not a Map or a Set: a table of V8's that was outgrown, or is full of holes, points to the one in its place, and still holds
 * what was in it. One of them that has grown old keeps all that follow it from being collected as garbage of a short life, and so
 * nearly everything that ever passed through.
 */
export class Bag<T extends object> {
  readonly #items: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#items.length - this.#free.length;
  }

  /** @returns its place, which is another one's once it is deleted */
  add(item: T): number {
    const place = this.#free.pop() ?? this.#items.length;
    this.#items[place] = item;
    return place;
  }

  at(place: number): T | undefined {
    return this.#items[place];
  }

  /** To be called once for each place. */
  delete(place: number): void {
    this.#items[place] = undefined;
    this.#free.push(place);
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const item of this.#items) if (item !== undefined) yield item;
  }
}
