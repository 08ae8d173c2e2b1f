import { decodeFormText } from '../wire/form-text.ts';

export interface QueryParameter {
  /** Decoded, as forms are: `+` is a space. */
  readonly name: string;
  readonly value: string;
  /** As it was sent. */
  readonly raw: string;
}

/** The parameters of a query, in order. */
export function readQuery(query: string | undefined): QueryParameter[] {
  if (query === undefined || query === '') return [];
  return query.split('&').map((raw) => {
    const equals = raw.indexOf('=');
    const [name, value] = equals < 0 ? [raw, ''] : [raw.slice(0, equals), raw.slice(equals + 1)];
    return { name: decodeFormText(name), value: decodeFormText(value), raw };
  });
}

/** Sorted by name, space as `+`, all but letters, digits and `-_.~` escaped: as Go's `url.Values` has it. */
export function encodeSorted(
  parameters: readonly (readonly [name: string, value: string])[],
): string {
  return [...parameters]
    .sort(([a], [b]) => (a === b ? 0 : a < b ? -1 : 1))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
}

function encode(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}
