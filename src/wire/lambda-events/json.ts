import { EventFault } from './event-fault.ts';

export type JsonObject = { readonly [name: string]: unknown };

/** @throws EventFault */
export function toObject(value: unknown, what: string): JsonObject {
  if (isObject(value)) return value;
  throw new EventFault(`${what} is not an object`);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws EventFault */
export function toText(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw new EventFault(`${what} is not a text`);
}

/** Undefined where it is absent, in either way to say so. @throws EventFault */
export function toOptionalText(value: unknown, what: string): string | undefined {
  return value === undefined || value === null ? undefined : toText(value, what);
}

/** Numbers and truth values stand for their text, as AWS takes them. @throws EventFault */
export function toScalar(value: unknown, what: string): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return toText(value, what);
}

/** @throws EventFault */
export function toStatus(value: unknown): number {
  if (/^[1-5][0-9]{2}$/.test(String(value))) return Number(value);
  throw new EventFault('statusCode is not a status from 100 to 599');
}

/** What lies deeper inside; undefined where the way there is not of objects. */
export function inside(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), value);
}
