const EMPTY = Buffer.alloc(0);
const FIRST_CAPACITY = 1024;

/**
 * Chunks in a row as one piece. A lone chunk is kept as it is, without a copy; many small ones cost time linear in
 * their sum, so a client that drips its bytes gains nothing by it.
 *
 * The bytes already returned are never overwritten. The caller bounds the sum.
 */
export class Gathering {
  #store: Buffer = EMPTY;
  #length = 0;

  /** All bytes so far, `chunk` included. */
  add(chunk: Buffer): Buffer {
    if (this.#length === 0) {
      this.#store = chunk;
      this.#length = chunk.length;
      return chunk;
    }
    this.#reserve(this.#length + chunk.length);
    chunk.copy(this.#store, this.#length);
    this.#length += chunk.length;
    return this.bytes;
  }

  /** Begins anew, and leaves what it returned to whoever has it. */
  clear(): void {
    this.#store = EMPTY;
    this.#length = 0;
  }

  get bytes(): Buffer {
    return this.#store.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(length: number): void {
    // Never so while the store is a chunk of the caller's: that one is exactly as long as its bytes.
    if (length <= this.#store.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_CAPACITY, 2 * length));
    this.#store.copy(grown, 0, 0, this.#length);
    this.#store = grown;
  }
}
