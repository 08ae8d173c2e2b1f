import type { Fields } from './fields.ts';
import { FramingError } from './framing-error.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** How far the body of a message reaches (RFC 9112 6.3). `length` in bytes; `close`: as far as the connection. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'close' };

const NONE: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const CLOSE: Framing = { kind: 'close' };

// RFC 9110 5.5 lets tabs stand around a value. Parsers disagree on them here: to llhttp, `chunked` and a tab is no chunked.
const CHUNKED_LINE = /^transfer-encoding: *chunked *$/i;
const LENGTH_LINE = /^content-length: *([0-9]{1,16}) *$/i;

/** @throws FramingError `content-length`, `transfer-encoding` */
export function requestFraming(head: RequestHead): Framing {
  return declaredFraming(head) ?? NONE;
}

/**
 * @param requestMethod the method of the request that this answers
 * @throws FramingError `content-length`, `transfer-encoding`
 */
export function responseFraming(head: ResponseHead, requestMethod: string): Framing {
  const { status } = head;
  // RFC 9110 9.3.6: whatever a granted CONNECT declares is ignored, since a tunnel follows.
  if (requestMethod === 'CONNECT' && status >= 200 && status < 300) return NONE;
  const declared = declaredFraming(head);
  if (status < 200 || status === 204) return withoutBody(declared);
  if (requestMethod === 'HEAD' || status === 304) return NONE;
  return declared ?? CLOSE;
}

/**
 * A body declared where none can be (RFC 9110 8.6, RFC 9112 6.1) is one that some peers would wait for. Zero bytes are
 * the same to all, and servers do declare them.
 */
function withoutBody(declared: Framing | undefined): Framing {
  if (declared?.kind === 'chunked') {
    throw new FramingError('transfer-encoding', 'the status allows no Transfer-Encoding');
  }
  if (declared?.kind === 'length' && declared.length > 0) {
    throw new FramingError('content-length', 'the status allows no content');
  }
  return NONE;
}

function declaredFraming(head: RequestHead | ResponseHead): Framing | undefined {
  const chunked = head.fields.has('transfer-encoding');
  if (!head.fields.has('content-length')) {
    return chunked ? transferEncoding(head) : undefined;
  }
  // RFC 9112 6.1 lets a server process this; it is how requests are smuggled.
  if (chunked) {
    throw new FramingError('content-length', 'Content-Length and Transfer-Encoding stand together');
  }
  return { kind: 'length', length: contentLength(head.fields) };
}

function transferEncoding(head: RequestHead | ResponseHead): Framing {
  const lines = head.fields.lines('transfer-encoding');
  if (lines.length !== 1 || !CHUNKED_LINE.test(lines[0] as string)) {
    throw new FramingError('transfer-encoding', 'Transfer-Encoding is not exactly chunked');
  }
  // RFC 9112 6.1: such framing is faulty, however well it parses.
  if (head.minor === 0) {
    throw new FramingError('transfer-encoding', 'HTTP/1.0 has no Transfer-Encoding');
  }
  return CHUNKED;
}

function contentLength(fields: Fields): number {
  const lines = fields.lines('content-length');
  // RFC 9112 6.3 lets equal ones pass; no honest peer sends them.
  if (lines.length !== 1) {
    throw new FramingError('content-length', 'Content-Length is given more than once');
  }
  const length = Number(LENGTH_LINE.exec(lines[0] as string)?.[1]);
  if (!Number.isSafeInteger(length)) {
    throw new FramingError('content-length', 'Content-Length is not a number of bytes');
  }
  return length;
}

/** Whether the sender means to go on with this connection behind this message (RFC 9112 9.3). */
export function keepsAlive(head: RequestHead | ResponseHead): boolean {
  const options = head.fields.list('connection');
  if (options.includes('close')) return false;
  return head.minor === 1 || options.includes('keep-alive');
}
