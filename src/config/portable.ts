import { Hostname } from '../core/hostname.ts';
import { Cidr, Ip } from '../core/ip.ts';
import type { Config, Position, SecretRef } from './config.ts';
import { literalRef } from './secret-ref.ts';

/** A configuration as plain values, which survive being sent to another process. */
export type PortableConfig = { readonly portable: unknown };

/** How values of classes travel, by a key that no written name can be. */
const TAGS = {
  ip: '\0ip',
  cidr: '\0cidr',
  hostname: '\0hostname',
  literal: '\0literal',
} as const;

export function toPortable(config: Config): PortableConfig {
  return { portable: pack(config) };
}

export function fromPortable({ portable }: PortableConfig): Config {
  return unpack(portable) as Config;
}

function pack(value: unknown): unknown {
  if (value instanceof Ip) return { [TAGS.ip]: value.text };
  if (value instanceof Cidr) return { [TAGS.cidr]: String(value) };
  if (value instanceof Hostname) return { [TAGS.hostname]: String(value) };
  if (isLiteral(value)) return { [TAGS.literal]: value.value, at: value.at };
  return walk(value, pack);
}

/** Its value is hidden from whatever lists what it holds. */
function isLiteral(value: unknown): value is SecretRef & { from: 'literal' } {
  return typeof value === 'object' && value !== null && 'from' in value && value.from === 'literal';
}

function unpack(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    const { [TAGS.ip]: ip, [TAGS.cidr]: cidr, [TAGS.hostname]: host } = value as Tagged;
    if (ip !== undefined) return known(Ip.parse(ip), ip);
    if (cidr !== undefined) return known(Cidr.parse(cidr), cidr);
    if (host !== undefined) return Hostname.parse(host);
    const { [TAGS.literal]: literal, at } = value as Tagged;
    if (literal !== undefined) return literalRef(literal, at as Position);
  }
  return walk(value, unpack);
}

interface Tagged {
  readonly [TAGS.ip]?: string;
  readonly [TAGS.cidr]?: string;
  readonly [TAGS.hostname]?: string;
  readonly [TAGS.literal]?: string;
  readonly at?: Position;
}

/** The same arrays, maps and objects around what `each` makes of their values. */
function walk(value: unknown, each: (value: unknown) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(each);
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, each(one)]));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a ${value.constructor.name} in the configuration cannot be sent`);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, each(one)]));
}

function known<T>(value: T | undefined, text: string): T {
  if (value === undefined) throw new TypeError(`${text} does not read as it was written`);
  return value;
}
