import { FramingError } from './framing-error.ts';

export const VERSION_LENGTH = 'HTTP/1.1'.length;

/** Parses `HTTP/1.0` or `HTTP/1.1` at `at` of a head in latin1; case matters (RFC 9112 2.3). @throws FramingError */
export function parseVersion(text: string, at: number): 0 | 1 {
  const version = text.slice(at, at + VERSION_LENGTH);
  if (version === 'HTTP/1.1') return 1;
  if (version === 'HTTP/1.0') return 0;
  if (/^HTTP\/[0-9]\.[0-9]$/.test(version)) {
    throw new FramingError('version', 'the version is neither HTTP/1.0 nor HTTP/1.1');
  }
  throw new FramingError('start-line', 'no HTTP version stands where it should');
}
