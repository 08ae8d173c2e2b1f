import { Hostname } from '../../src/core/hostname.ts';
import type { HeadChanges, InjectedRequest } from '../../src/core/injection.ts';
import type { SignedRequest } from './aws/service.ts';

/** A request to `https://AUTHORITY/PATH?QUERY`, as an injector sees it. */
export function requestTo(
  url: string,
  more: Partial<Pick<InjectedRequest, 'method' | 'headers' | 'body'>> = {},
): InjectedRequest {
  const [, authority = '', path = '/', query] =
    /^https:\/\/([^/]+)([^?]*)(?:\?(.*))?$/.exec(url) ?? [];
  return {
    method: more.method ?? 'GET',
    host: Hostname.parse(authority.split(':')[0] as string),
    authority,
    path: path === '' ? '/' : path,
    query,
    headers: more.headers ?? [],
    body: more.body,
  };
}

/** What arrives once the changes are made. */
export function applied(request: InjectedRequest, changes: HeadChanges): SignedRequest {
  const gone = new Set([...changes.drop, ...changes.set.map(([name]) => name.toLowerCase())]);
  const kept = request.headers.filter(([name]) => !gone.has(name.toLowerCase()));
  const headers: Record<string, string> = { host: request.authority };
  for (const [name, value] of [...kept, ...changes.set]) {
    const before = headers[name.toLowerCase()];
    headers[name.toLowerCase()] = before === undefined ? value.trim() : `${before},${value.trim()}`;
  }
  const own = request.query === undefined ? request.path : `${request.path}?${request.query}`;
  const body = request.body ?? Buffer.alloc(0);
  return { method: request.method, url: changes.target ?? own, headers, body };
}
