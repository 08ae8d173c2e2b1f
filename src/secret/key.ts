import { jsonOf } from '../core/json.ts';
import { SecretFailure } from './failure.ts';

/**
 * One entry of a secret that is a map, as JSON.
 *
 * @throws SecretFailure `invalid`, which quotes nothing of it
 */
export function valueOfKey(what: string, json: string, key: string): string {
  const map = jsonOf(json);
  if (typeof map !== 'object' || map === null) {
    throw new SecretFailure('invalid', `${what}: the secret is no JSON map`);
  }
  return textOf(what, map, key);
}

/** @throws SecretFailure `missing`, `invalid` */
export function textOf(what: string, map: object, key: string): string {
  if (!Object.hasOwn(map, key)) throw new SecretFailure('missing', `${what}: no such key`);
  const value: unknown = (map as Record<string, unknown>)[key];
  if (typeof value === 'string') return value;
  throw new SecretFailure('invalid', `${what}: the value is no text`);
}
