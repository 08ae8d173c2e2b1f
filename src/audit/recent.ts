export interface RecentLimits {
  readonly lines: number;
  readonly bytes: number;
}

const LIMITS: RecentLimits = { lines: 32_768, bytes: 16 * 1024 * 1024 };

const NONE = -1;
const KEY_DIGITS = 4;
const KEYS = 16 ** KEY_DIGITS;

/**
 * The lines of the latest exchanges, so that `why` answers at once, also for refusals that were not written.
 *
 * They lie as bytes in one ring: kept as strings, thousands of exchanges that live on for a while cost the garbage
 * collector more than recording them does.
 */
export class RecentExchanges {
  readonly #bytes: Buffer;
  /** By number of the line, modulo their capacity. */
  readonly #starts: Float64Array;
  readonly #lengths: Int32Array;
  /** The line before of the same key. */
  readonly #previous: Float64Array;
  /** The last line of each key. */
  readonly #latest = new Float64Array(KEYS).fill(NONE);
  #count = 0;
  /** Of all bytes ever written, so that it tells which lines were overwritten. */
  #end = 0;

  constructor({ lines, bytes }: RecentLimits = LIMITS) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
    this.#starts = new Float64Array(lines);
    this.#lengths = new Int32Array(lines);
    this.#previous = new Float64Array(lines);
  }

  add(id: string, line: string): void {
    const start = this.#roomFor(line);
    if (start === undefined) return;
    const key = keyOf(id);
    const number = this.#count++;
    const slot = number % this.#starts.length;
    const length = this.#bytes.write(line, start % this.#bytes.length);
    this.#starts[slot] = start;
    this.#lengths[slot] = length;
    this.#previous[slot] = this.#latest[key] as number;
    this.#latest[key] = number;
    this.#end = start + length;
  }

  /** The events of an exchange in the order in which they happened; empty when it is not known here. */
  find(id: string): readonly string[] {
    const lines: string[] = [];
    let number = this.#latest[keyOf(id)] as number;
    while (number !== NONE && this.#holds(number)) {
      const line = this.#line(number % this.#starts.length);
      // Ids share keys.
      if (line.includes(`"id":"${id}"`)) lines.push(line);
      number = this.#previous[number % this.#starts.length] as number;
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
    if (number < this.#count - this.#starts.length) return false;
    const start = this.#starts[number % this.#starts.length] as number;
    return start >= this.#end - this.#bytes.length;
  }

  #line(slot: number): string {
    const start = (this.#starts[slot] as number) % this.#bytes.length;
    return this.#bytes.toString('utf8', start, start + (this.#lengths[slot] as number));
  }
}

/** 16 of an id's random bits: of the last four digits, or whatever else stands there. */
function keyOf(id: string): number {
  let key = 0;
  for (let i = id.length - KEY_DIGITS; i < id.length; i++) key = key * 16 + digit(id.charCodeAt(i));
  return key;
}

function digit(code: number): number {
  return (code <= 0x39 ? code : code - 0x57) & 0xf;
}
