import type { HeaderCredential } from '../../config/config.ts';
import type { HeadChanges } from '../../core/injection.ts';
import { headerValue, type Values } from '../values.ts';

/** @throws SecretFailure */
export function headerChanges({ headers }: HeaderCredential, values: Values): HeadChanges {
  return setHeaders(headers.map(({ name, value }) => [name, values.text(value)]));
}

/** @throws SecretFailure */
export function setHeaders(set: readonly (readonly [name: string, value: string])[]): HeadChanges {
  return { set: set.map(([name, value]) => [name, headerValue(name, value)]), drop: [] };
}
