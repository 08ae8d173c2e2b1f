import type { Fields } from './fields.ts';
import { FramingError } from './framing-error.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Beyond latin1 as well: U+010A would be written as its low byte, LF.
const UNWRITABLE = /[^\t\x20-\x7e\x80-\xff]/;

interface Kept {
  readonly fields: Fields;
  readonly drop: (lowerName: string) => boolean;
}

/** A field of our own. */
interface OwnField {
  readonly lowerName: string;
  readonly line: string;
}

/**
 * Builds the head that goes on from the one that came: fields that are kept travel byte for byte as they were sent, in their
 * order, copied in runs. Fields of our own stand before or behind them, as they are set before or after `keep`.
 */
export class HeadWriter {
  readonly #startLine: string;
  readonly #kept: Kept[] = [];
  readonly #replaced: string[] = [];
  readonly #before: OwnField[] = [];
  readonly #behind: OwnField[] = [];

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
   * The only field of its name, whatever was kept, set or added before or will be kept: no client can double what the
   * gateway sets.
   *
   * @throws FramingError `field-name`, `field-value` for what would end the line early (header injection)
   */
  set(name: string, value: string): this {
    const lowerName = name.toLowerCase();
    removeNamed(this.#before, lowerName);
    removeNamed(this.#behind, lowerName);
    this.#replaced.push(lowerName);
    return this.add(name, value);
  }

  /** One more field line, beside others of its name (Via). @throws FramingError as `set` */
  add(name: string, value: string): this {
    if (!TOKEN.test(name)) throw new FramingError('field-name', 'the name to write is no token');
    if (UNWRITABLE.test(value)) {
      throw new FramingError('field-value', 'the value to write holds a control character');
    }
    const own = this.#kept.length === 0 ? this.#before : this.#behind;
    own.push({ lowerName: name.toLowerCase(), line: `${name}: ${value}\r\n` });
    return this;
  }

  toBuffer(): Buffer {
    let head = `${this.#startLine}\r\n${linesOf(this.#before)}`;
    for (const kept of this.#kept) head += this.#keptLines(kept);
    head += `${linesOf(this.#behind)}\r\n`;
    return Buffer.from(head, 'latin1');
  }

  /** In runs of lines that follow one another and all stay. */
  #keptLines({ fields, drop }: Kept): string {
    const { text, count } = fields;
    let lines = '';
    let first = 0;
    for (let i = 0; i <= count; i++) {
      if (i < count && !this.#drops(fields.name(i).toLowerCase(), drop)) continue;
      if (i > first) lines += text.slice(fields.lineStart(first), fields.lineStart(i));
      first = i + 1;
    }
    return lines;
  }

  #drops(lowerName: string, drop: (lowerName: string) => boolean): boolean {
    return this.#replaced.includes(lowerName) || drop(lowerName);
  }
}

function removeNamed(fields: OwnField[], lowerName: string): void {
  for (let i = fields.length - 1; i >= 0; i--) {
    if (fields[i]?.lowerName === lowerName) fields.splice(i, 1);
  }
}

function linesOf(fields: readonly OwnField[]): string {
  let lines = '';
  for (const field of fields) lines += field.line;
  return lines;
}

export const CHUNK_END: Buffer = Buffer.from('\r\n');
export const LAST_CHUNK: Buffer = Buffer.from('0\r\n\r\n');

/** The line before a chunk of `size` bytes; CHUNK_END goes behind it. Size 0 is LAST_CHUNK's. */
export function chunkHead(size: number): Buffer {
  return Buffer.from(`${size.toString(16)}\r\n`, 'latin1');
}
