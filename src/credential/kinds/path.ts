import type { PathCredential } from '../../config/config.ts';
import type { HeadChanges, InjectedRequest } from '../../core/injection.ts';
import type { Values } from '../values.ts';

/** What may stand in a segment of a path as it is (RFC 3986 3.3). */
const SEGMENT = /[^A-Za-z0-9\-._~!$&'()*+,;=:@]/gu;

export function pathChanges(
  { text }: PathCredential,
  { path, query }: InjectedRequest,
  values: Values,
): HeadChanges {
  const parts = text.map((part) => {
    if (typeof part === 'string') return part.replaceAll('{path}', () => path);
    return values.of(part).replace(SEGMENT, encodeURIComponent);
  });
  const search = query === undefined ? '' : `?${query}`;
  return { set: [], drop: [], target: `${parts.join('')}${search}` };
}
