import type { GrantedCredential } from '../../core/injection.ts';

// By which servers take another method, path or client than the ones that were decided on.
const OVERRIDES: ReadonlySet<string> = new Set([
  'forwarded',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
]);
/** By parts of a body a secret in it could be had piece by piece, none of which would be recognised. */
const PARTS: ReadonlySet<string> = new Set(['range', 'if-range']);
/** What would compress messages, or put them into frames that are not read here. */
export const EXTENSIONS = 'sec-websocket-extensions';

/** Servers that hand headers to programs as variables (CGI, WSGI, PHP) take `x_key` for `X-Key`. */
export function dashed(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}

/** Whether a client's field, by its name in lower case, never goes on with a credential. */
export function isLeft(lowerName: string, { strict }: GrantedCredential): boolean {
  const name = dashed(lowerName);
  const overrides = OVERRIDES.has(name) || name.startsWith('x-forwarded-');
  return overrides || lowerName === EXTENSIONS || (strict && PARTS.has(lowerName));
}
