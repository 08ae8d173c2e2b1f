import { FramingError } from './framing-error.ts';

export const VERSION_LENGTH = 'HTTP/1.1'.length;

/** Parses `HTTP/1.0` or `HTTP/1.1` at `at`; case matters (RFC 9112 2.3). @throws FramingError */
export function parseVersion(bytes: Buffer, at: number): 0 | 1 {
  const text = bytes.toString('latin1', at, at + VERSION_LENGTH);
  if (text === 'HTTP/1.1') return 1;
  if (text === 'HTTP/1.0') return 0;
  if (/^HTTP\/[0-9]\.[0-9]$/.test(text)) {
    throw new FramingError('version', 'the version is neither HTTP/1.0 nor HTTP/1.1');
  }
  throw new FramingError('start-line', 'no HTTP version stands where it should');
}
