import { deserialize, serialize } from 'node:v8';
import { Hostname } from '../core/hostname.ts';
import { Cidr, Ip } from '../core/ip.ts';
import type { Work } from '../core/work.ts';
import type { Config, Position, SecretRef, SetConfig } from './config.ts';
import { literalRef } from './literal-ref.ts';

/**
 * A configuration as bytes, which another process or thread of this gateway makes the same values of: in pieces, each of
 * them soon read.
 */
export type PortableConfig = readonly Uint8Array[];

/** What one piece holds: everything but the long lists, a set, and then some entries of it, or some rules. */
type Piece =
  | { readonly rest: Omit<Config, 'sets' | 'rules'> }
  | { readonly set: string; readonly about: Omit<SetConfig, 'entries'> }
  | { readonly entries: SetConfig['entries'] }
  | { readonly rules: Config['rules'] };

/** Entries or rules. */
const A_PIECE = 50;

/** How values of classes travel, by a key that no written name can be. */
const TAGS = {
  ip: '\0ip',
  cidr: '\0cidr',
  hostname: '\0hostname',
  literal: '\0literal',
} as const;

export function* packing(config: Config): Work<PortableConfig> {
  const portable: Uint8Array[] = [];
  for (const piece of piecesOf(config)) {
    portable.push(serialize(pack(piece)));
    yield;
  }
  return portable;
}

function* piecesOf({ sets, rules, ...rest }: Config): Generator<Piece> {
  yield { rest };
  for (const [set, { entries, ...about }] of sets) {
    yield { set, about };
    for (const some of partsOf(entries)) yield { entries: some };
  }
  for (const some of partsOf(rules)) yield { rules: some };
}

function* partsOf<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += A_PIECE) yield list.slice(at, at + A_PIECE);
}

/** @throws TypeError for what `packing` never makes */
export function* unpacking(portable: PortableConfig): Work<Config> {
  const unpacker = new Unpacker();
  const sets = new Map<string, SetConfig>();
  const rules: Config['rules'][number][] = [];
  let rest: Omit<Config, 'sets' | 'rules'> | undefined;
  let entries: SetConfig['entries'][number][] = [];
  for (const bytes of portable) {
    const piece = unpacker.unpack(deserialize(bytes)) as Piece;
    if ('rest' in piece) rest = piece.rest;
    else if ('rules' in piece) rules.push(...piece.rules);
    else if ('entries' in piece) entries.push(...piece.entries);
    else {
      entries = [];
      sets.set(piece.set, { entries, ...piece.about });
    }
    yield;
  }
  if (rest === undefined) throw new TypeError('a part of the configuration is missing');
  return { ...rest, sets, rules };
}

/** The same arrays, maps and objects, with tagged text in place of values of classes. */
function pack(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Ip) return { [TAGS.ip]: value.text };
  if (value instanceof Cidr) return { [TAGS.cidr]: String(value) };
  if (value instanceof Hostname) return { [TAGS.hostname]: value.name };
  if (isLiteral(value))
    return { [TAGS.literal]: value.value, at: value.at, multiline: value.multiline };
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
class Unpacker {
  /** Every text once: a file's name, say, comes with each rule. */
  readonly #texts = new Map<string, string>();

  unpack(value: unknown): unknown {
    if (typeof value === 'string') return this.#text(value);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) value[i] = this.unpack(value[i]);
      return value;
    }
    if (value instanceof Map) {
      for (const [key, one] of value) value.set(key, this.unpack(one));
      return value;
    }
    const fields = value as Record<string, unknown>;
    for (const key in fields) {
      if (key.startsWith('\0')) return revive(key, fields);
      fields[key] = this.unpack(fields[key]);
    }
    return fields;
  }

  #text(text: string): string {
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return known ?? text;
  }
}

function revive(tag: string, fields: Record<string, unknown>): Ip | Cidr | Hostname | SecretRef {
  const text = fields[tag] as string;
  if (tag === TAGS.literal) {
    const ref = literalRef(text, fields.at as Position);
    return fields.multiline === true ? Object.assign(ref, { multiline: true }) : ref;
  }
  if (tag === TAGS.hostname) return Hostname.parse(text);
  const value = tag === TAGS.ip ? Ip.parse(text) : Cidr.parse(text);
  if (value === undefined) throw new TypeError(`${text} does not read as it was written`);
  return value;
}
