import { EventFault } from './event-fault.ts';
import { isObject, type JsonObject, toObject, toScalar } from './json.ts';
import type { Field } from './message.ts';

/** One value to a name: the last one. */
export function lastValues(pairs: readonly Field[]): JsonObject {
  return Object.fromEntries(pairs);
}

/** One value to a name: the first one. */
export function firstValues(pairs: readonly Field[]): JsonObject {
  return Object.fromEntries([...pairs].reverse());
}

/** All values of each name, in order. */
export function allValues(pairs: readonly Field[]): JsonObject {
  return Object.fromEntries(grouped(pairs));
}

/** All values of each name as one. */
export function joinedValues(pairs: readonly Field[]): JsonObject {
  return Object.fromEntries([...grouped(pairs)].map(([name, all]) => [name, all.join(',')]));
}

function grouped(pairs: readonly Field[]): Map<string, string[]> {
  const byName = new Map<string, string[]>();
  for (const [name, value] of pairs) byName.set(name, [...(byName.get(name) ?? []), value]);
  return byName;
}

/** @throws EventFault */
export function fromSingle(map: unknown, what: string): Field[] {
  if (map === undefined || map === null) return [];
  return Object.entries(toObject(map, what)).map(([name, value]) => [name, toScalar(value, what)]);
}

/** @throws EventFault */
export function fromMulti(map: unknown, what: string): Field[] {
  if (map === undefined || map === null) return [];
  return Object.entries(toObject(map, what)).flatMap(([name, values]) => {
    if (!Array.isArray(values)) throw new EventFault(`${what} holds something that is no list`);
    return values.map((value): Field => [name, toScalar(value, what)]);
  });
}

/** The map of several values wins, where there is one. @throws EventFault */
export function fromEither(event: JsonObject, single: string, multi: string): Field[] {
  return isObject(event[multi])
    ? fromMulti(event[multi], multi)
    : fromSingle(event[single], single);
}
