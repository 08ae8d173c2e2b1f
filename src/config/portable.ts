import { setImmediate as nextTurn } from 'node:timers/promises';
import { deserialize, serialize } from 'node:v8';
import { Hostname } from '../core/hostname.ts';
import { Cidr, Ip } from '../core/ip.ts';
import type { Config, Position, SecretRef } from './config.ts';
import { literalRef } from './secret-ref.ts';

/** A configuration as bytes, which another process or thread of this gateway makes the same values of. */
export type PortableConfig = Uint8Array;

/** How values of classes travel, by a key that no written name can be. */
const TAGS = {
  ip: '\0ip',
  cidr: '\0cidr',
  hostname: '\0hostname',
  literal: '\0literal',
} as const;

export function toPortable(config: Config): PortableConfig {
  return serialize(pack(config));
}

/** @throws TypeError for what `toPortable` never makes */
export function fromPortable(portable: PortableConfig): Config {
  return unpack(deserialize(portable)) as Config;
}

/** Rules that are unpacked within one turn of the event loop. */
const RULES_A_TURN = 500;

/** As `fromPortable`, in slices that leave the event loop to others in between. */
export async function fromPortableInSlices(portable: PortableConfig): Promise<Config> {
  const { rules, ...rest } = deserialize(portable) as Config;
  for (let done = 0; done < rules.length; done += RULES_A_TURN) {
    await nextTurn();
    for (const rule of rules.slice(done, done + RULES_A_TURN)) unpack(rule);
  }
  await nextTurn();
  return { ...(unpack(rest) as Config), rules };
}

/** The same arrays, maps and objects, with tagged text in place of values of classes. */
function pack(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Ip) return { [TAGS.ip]: value.text };
  if (value instanceof Cidr) return { [TAGS.cidr]: String(value) };
  if (value instanceof Hostname) return { [TAGS.hostname]: value.name };
  if (isLiteral(value)) return { [TAGS.literal]: value.value, at: value.at };
  if (Array.isArray(value)) return value.map(pack);
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, pack(one)]));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a ${value.constructor.name} in the configuration cannot be sent`);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, pack(one)]));
}

/** Its value is hidden from whatever lists what it holds. */
function isLiteral(value: object): value is SecretRef & { from: 'literal' } {
  return 'from' in value && value.from === 'literal';
}

/** Puts the values back where they belong. What was deserialized belongs to nobody else: it is changed in place. */
function unpack(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = unpack(value[i]);
    return value;
  }
  if (value instanceof Map) {
    for (const [key, one] of value) value.set(key, unpack(one));
    return value;
  }
  const fields = value as Record<string, unknown>;
  for (const key in fields) {
    if (key.startsWith('\0')) return revive(key, fields);
    const one = fields[key];
    if (typeof one === 'object') fields[key] = unpack(one);
  }
  return fields;
}

function revive(tag: string, fields: Record<string, unknown>): Ip | Cidr | Hostname | SecretRef {
  const text = fields[tag] as string;
  if (tag === TAGS.literal) return literalRef(text, fields.at as Position);
  if (tag === TAGS.hostname) return Hostname.parse(text);
  const value = tag === TAGS.ip ? Ip.parse(text) : Cidr.parse(text);
  if (value === undefined) throw new TypeError(`${text} does not read as it was written`);
  return value;
}
