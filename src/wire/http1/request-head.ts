import { CR, is, LF, SP, TOKEN, VISIBLE } from './characters.ts';
import { type Fields, type HeadLimits, parseFields, requireWholeHead } from './fields.ts';
import { FramingError } from './framing-error.ts';
import { parseVersion, VERSION_LENGTH } from './version.ts';

/** A request's head: the request line and its fields (RFC 9112 3). */
export class RequestHead {
  /** As sent: methods are case-sensitive. */
  readonly method: string;
  /** Visible ASCII, not looked into: its form (RFC 9112 3.2) is the listener's to judge. */
  readonly target: string;
  readonly minor: 0 | 1;
  readonly fields: Fields;

  constructor(method: string, target: string, minor: 0 | 1, fields: Fields) {
    this.method = method;
    this.target = target;
    this.minor = minor;
    this.fields = fields;
  }

  get bytes(): Buffer {
    return this.fields.bytes;
  }
}

/**
 * Parses a whole head, its empty line included. One empty line before the request line is skipped, as RFC 9112 2.2 asks
 * for the sake of old clients; a second one is refused.
 *
 * Whether there is exactly one valid Host is not judged here.
 *
 * @throws FramingError
 */
export function parseRequestHead(bytes: Buffer, limits: HeadLimits): RequestHead {
  if (bytes[0] === CR && bytes[1] === LF) bytes = bytes.subarray(2);
  requireWholeHead(bytes);
  const text = bytes.toString('latin1');
  let at = 0;
  while (is(bytes, at, TOKEN)) at++;
  if (at === 0 || bytes[at] !== SP) throw lineFault(bytes, at, 'the method is not a token');
  const methodEnd = at++;
  while (is(bytes, at, VISIBLE)) at++;
  const targetEnd = at;
  if (targetEnd === methodEnd + 1 || bytes[at] !== SP) {
    throw lineFault(bytes, at, 'the target is not visible ASCII between two single spaces');
  }
  const minor = parseVersion(text, ++at);
  at += VERSION_LENGTH;
  if (bytes[at] !== CR || bytes[at + 1] !== LF) {
    throw lineFault(bytes, at, 'something stands behind the version');
  }
  return new RequestHead(
    text.slice(0, methodEnd),
    // A string of its own: names of hosts are cut from it and remembered, which would keep all of the head.
    bytes.toString('latin1', methodEnd + 1, targetEnd),
    minor,
    parseFields(bytes, text, at + 2, limits),
  );
}

function lineFault(bytes: Buffer, at: number, message: string): FramingError {
  if (bytes[at] === LF) return new FramingError('bare-lf', 'a line ends in LF without CR');
  return new FramingError('start-line', message);
}
