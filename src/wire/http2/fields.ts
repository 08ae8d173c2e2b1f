import type { Fields } from '../http1/fields.ts';
import { FramingError } from '../http1/framing-error.ts';

/** A field section as it came: names and values in turn, in latin1. */
export type RawFields = readonly string[];

/** One as Node sends it. A name that stands more than once has a list. */
export type FieldMap = Record<string, string | string[]>;

/** RFC 9113 8.2.2: they speak of a connection, of which HTTP/2 says everything by its frames. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

// RFC 9113 8.2.1: in lower case, and what would be a token in HTTP/1.1.
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The field lines of a head of HTTP/1.1. Whoever reads HTTP/2 has refused most of this before; what smuggles a request
 * by a downgrade is not left to that.
 *
 * @throws FramingError for what could end its line, or frames a message of HTTP/1.1
 */
export function fieldLines(raw: RawFields): string {
  let lines = '';
  const crumbs: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.startsWith(':')) continue;
    vetField(name, value);
    // RFC 9113 8.2.3: HTTP/1.1 knows one field of them alone.
    if (name === 'cookie') crumbs.push(value);
    else lines += `${name}: ${value}\r\n`;
  }
  return crumbs.length === 0 ? lines : `${lines}cookie: ${crumbs.join('; ')}\r\n`;
}

/** The end of a chunked body with these trailers. @throws FramingError as `fieldLines` */
export function trailerBytes(raw: RawFields): Buffer {
  if (raw.some((name, i) => i % 2 === 0 && name.startsWith(':'))) {
    throw new FramingError('trailer-field', 'a trailer claims to be of the head');
  }
  return Buffer.from(`0\r\n${fieldLines(raw)}\r\n`, 'latin1');
}

function vetField(name: string, value: string): void {
  if (!NAME.test(name)) {
    throw new FramingError('field-name', 'a field name is no token in lower case');
  }
  if (!VALUE.test(value))
    throw new FramingError('field-value', 'a value holds a control character');
  if (CONNECTION_SPECIFIC.has(name) || (name === 'te' && value !== 'trailers')) {
    throw new FramingError('field-name', `HTTP/2 has no ${name}`);
  }
}

/** The pseudo-header fields (RFC 9113 8.3). @throws FramingError for one that is there twice, or that nobody knows */
export function pseudoFields(
  raw: RawFields,
  known: readonly string[],
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!name.startsWith(':')) continue;
    if (!known.includes(name) || found.has(name)) {
      throw new FramingError('start-line', 'a pseudo-header field is unknown or there twice');
    }
    found.set(name, raw[i + 1] as string);
  }
  return found;
}

/** Adds the fields of a head or section of HTTP/1.1, without what speaks of its connection. */
export function addFields(map: FieldMap, fields: Fields): FieldMap {
  for (let i = 0; i < fields.count; i++) {
    const name = fields.name(i).toLowerCase();
    const value = fields.valueAt(i);
    if (CONNECTION_SPECIFIC.has(name) || name === 'http2-settings') continue;
    if (name === 'te' && value !== 'trailers') continue;
    const before = map[name];
    if (before === undefined) map[name] = value;
    else if (typeof before === 'string') map[name] = [before, value];
    else before.push(value);
  }
  return map;
}

export function fieldMap(): FieldMap {
  return Object.create(null) as FieldMap;
}
