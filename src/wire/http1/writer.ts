import type { Fields } from './fields.ts';
import { FramingError } from './framing-error.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Beyond latin1 as well: U+010A would be written as its low byte, LF.
const UNWRITABLE = /[^\t\x20-\x7e\x80-\xff]/;

interface Kept {
  readonly fields: Fields;
  readonly drop: (lowerName: string) => boolean;
}

/**
 * Builds the head that goes on from the one that came: fields that are kept travel as the bytes that were sent, in their
 * order, copied in runs; fields of our own follow.
 */
export class HeadWriter {
  readonly #startLine: string;
  readonly #kept: Kept[] = [];
  readonly #replaced: string[] = [];
  #own = '';

  /** @throws FramingError `start-line` when it could not stand on one line */
  constructor(startLine: string) {
    if (UNWRITABLE.test(startLine)) {
      throw new FramingError('start-line', 'the start line to write holds a control character');
    }
    this.#startLine = startLine;
  }

  /** Every field but those that `drop` wants gone. */
  keep(fields: Fields, drop: (lowerName: string) => boolean): this {
    this.#kept.push({ fields, drop });
    return this;
  }

  /**
   * One field in place of all kept ones of its name, before or after `keep`: what the gateway sets, no client can double.
   *
   * @throws FramingError `field-name`, `field-value` for what would end the line early (header injection)
   */
  set(name: string, value: string): this {
    this.#replaced.push(name.toLowerCase());
    return this.add(name, value);
  }

  /** One more field line, beside kept ones of its name (Via). @throws FramingError as `set` */
  add(name: string, value: string): this {
    if (!TOKEN.test(name)) throw new FramingError('field-name', 'the name to write is no token');
    if (UNWRITABLE.test(value)) {
      throw new FramingError('field-value', 'the value to write holds a control character');
    }
    this.#own += `${name}: ${value}\r\n`;
    return this;
  }

  toBuffer(): Buffer {
    const start = `${this.#startLine}\r\n`;
    const end = `${this.#own}\r\n`;
    const runs = this.#kept.flatMap((kept) => this.#runs(kept));
    let length = start.length + end.length;
    for (const run of runs) length += run.length;
    const head = Buffer.allocUnsafe(length);
    let at = head.write(start, 0, 'latin1');
    for (const run of runs) at += run.copy(head, at);
    head.write(end, at, 'latin1');
    return head;
  }

  /** Lines that stay and follow one another are one run. */
  #runs({ fields, drop }: Kept): Buffer[] {
    const runs: Buffer[] = [];
    let from = 0;
    for (let i = 0; i <= fields.count; i++) {
      if (i < fields.count && !this.#drops(fields.name(i).toLowerCase(), drop)) continue;
      if (i > from) runs.push(fields.bytes.subarray(fields.lineStart(from), fields.lineStart(i)));
      from = i + 1;
    }
    return runs;
  }

  #drops(lowerName: string, drop: (lowerName: string) => boolean): boolean {
    return this.#replaced.includes(lowerName) || drop(lowerName);
  }
}

export const CHUNK_END: Buffer = Buffer.from('\r\n');
export const LAST_CHUNK: Buffer = Buffer.from('0\r\n\r\n');

/** The line before a chunk of `size` bytes; CHUNK_END goes behind it. Size 0 is LAST_CHUNK's. */
export function chunkHead(size: number): Buffer {
  return Buffer.from(`${size.toString(16)}\r\n`, 'latin1');
}
