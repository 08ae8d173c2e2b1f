import type { BasicCredential } from '../../config/config.ts';
import type { HeadChanges } from '../../core/injection.ts';
import type { Values } from '../values.ts';

export function basicChanges({ username, password }: BasicCredential, values: Values): HeadChanges {
  return { set: [['Authorization', basicValue(username, values.of(password))]], drop: [] };
}

/** RFC 7617, in UTF-8. */
export function basicValue(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
