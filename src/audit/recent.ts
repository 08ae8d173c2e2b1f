export interface RecentLimits {
  readonly lines: number;
  readonly bytes: number;
}

const LIMITS: RecentLimits = { lines: 32_768, bytes: 16 * 1024 * 1024 };

/**
 * The lines of the latest exchanges, so that `why` answers at once, also for refusals that were not written.
 *
 * They lie as bytes in one ring: kept as strings, thousands of exchanges that live on for a while cost the garbage
 * collector more than recording them does.
 */
export class RecentExchanges {
  readonly #bytes: Buffer;
  /** By number of the line, modulo their capacity. */
  readonly #keys: Int32Array;
  readonly #starts: Float64Array;
  readonly #lengths: Int32Array;
  readonly #previous: Float64Array;
  /** The last line of each exchange. */
  readonly #latest = new Map<number, number>();
  #count = 0;
  /** Of all bytes ever written, so that it tells which lines were overwritten. */
  #end = 0;

  constructor({ lines, bytes }: RecentLimits = LIMITS) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
    this.#keys = new Int32Array(lines);
    this.#starts = new Float64Array(lines);
    this.#lengths = new Int32Array(lines);
    this.#previous = new Float64Array(lines);
  }

  add(id: string, line: string): void {
    const start = this.#roomFor(line);
    if (start === undefined) return;
    const key = keyOf(id);
    const number = this.#count++;
    const slot = number % this.#keys.length;
    const oldest = this.#keys[slot] as number;
    if (this.#latest.get(oldest) === number - this.#keys.length) this.#latest.delete(oldest);
    const length = this.#bytes.write(line, start % this.#bytes.length);
    this.#keys[slot] = key;
    this.#starts[slot] = start;
    this.#lengths[slot] = length;
    this.#previous[slot] = this.#latest.get(key) ?? NONE;
    this.#latest.set(key, number);
    this.#end = start + length;
  }

  /** The events of an exchange in the order in which they happened; empty when it is not known here. */
  find(id: string): readonly string[] {
    const lines: string[] = [];
    let number = this.#latest.get(keyOf(id)) ?? NONE;
    while (number !== NONE && this.#holds(number)) {
      const line = this.#line(number % this.#keys.length);
      // Two ids may share a key.
      if (line.includes(`"id":"${id}"`)) lines.push(line);
      number = this.#previous[number % this.#keys.length] as number;
    }
    return lines.reverse();
  }

  /** Where a line fits in one piece; undefined: nowhere. */
  #roomFor(line: string): number | undefined {
    const capacity = this.#bytes.length;
    const atMost = line.length * 3;
    if (atMost > capacity) return undefined;
    const left = capacity - (this.#end % capacity);
    return left < atMost ? this.#end + left : this.#end;
  }

  #holds(number: number): boolean {
    if (number < this.#count - this.#keys.length) return false;
    const start = this.#starts[number % this.#keys.length] as number;
    return start >= this.#end - this.#bytes.length;
  }

  #line(slot: number): string {
    const start = (this.#starts[slot] as number) % this.#bytes.length;
    return this.#bytes.toString('utf8', start, start + (this.#lengths[slot] as number));
  }
}

const NONE = -1;

/** 28 of an id's random bits. */
function keyOf(id: string): number {
  return Number.parseInt(id.slice(-7), 16) || 0;
}
