import { CR, is, LF, SP, TEXT } from './characters.ts';
import {
  type Fields,
  type HeadLimits,
  parseFields,
  requireWholeHead,
  textFault,
} from './fields.ts';
import { FramingError } from './framing-error.ts';
import { parseVersion, VERSION_LENGTH } from './version.ts';

const STATUS_START = VERSION_LENGTH + 1;
const STATUS_END = STATUS_START + 3;

/** A response's head: the status line and its fields (RFC 9112 4). */
export class ResponseHead {
  readonly minor: 0 | 1;
  /** 100 to 999: beyond 599 occurs and frames as any final status does (RFC 9110 15). */
  readonly status: number;
  readonly fields: Fields;
  readonly #phraseEnd: number;

  constructor(minor: 0 | 1, status: number, phraseEnd: number, fields: Fields) {
    this.minor = minor;
    this.status = status;
    this.fields = fields;
    this.#phraseEnd = phraseEnd;
  }

  /** The reason phrase, possibly empty. */
  get phrase(): string {
    return this.fields.text.slice(STATUS_END + 1, this.#phraseEnd);
  }

  get bytes(): Buffer {
    return this.fields.bytes;
  }
}

/**
 * Parses a whole head, its empty line included; nothing may stand before it.
 *
 * The space before an empty phrase may be missing: RFC 9112 4 wants it sent, many servers do not, and the line's end
 * leaves no doubt.
 *
 * @throws FramingError
 */
export function parseResponseHead(bytes: Buffer, limits: HeadLimits): ResponseHead {
  requireWholeHead(bytes);
  const text = bytes.toString('latin1');
  const minor = parseVersion(text, 0);
  const status = parseStatus(bytes);
  let at = STATUS_END;
  if (bytes[at] === SP) {
    while (is(bytes, at, TEXT)) at++;
  }
  if (bytes[at] !== CR || bytes[at + 1] !== LF) {
    if (at === STATUS_END) throw statusFault();
    throw textFault(bytes, at);
  }
  return new ResponseHead(minor, status, at, parseFields(bytes, text, at + 2, limits));
}

function parseStatus(bytes: Buffer): number {
  if (bytes[VERSION_LENGTH] !== SP) throw statusFault();
  let status = 0;
  for (let at = STATUS_START; at < STATUS_END; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (!(digit >= 0 && digit <= 9)) throw statusFault();
    status = status * 10 + digit;
  }
  if (status < 100) throw statusFault();
  return status;
}

function statusFault(): FramingError {
  return new FramingError('start-line', 'the status is not a number of three digits');
}
