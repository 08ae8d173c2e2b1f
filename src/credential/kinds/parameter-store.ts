import type { HeadChanges, InjectedRequest } from '../../core/injection.ts';
import type { Secret } from '../../core/secret.ts';
import { SecretFailure } from '../../secret/failure.ts';
import { encodeSorted, readQuery } from '../query-string.ts';
import { headerValue } from '../values.ts';
import { basicValue } from './basic.ts';

/** What the gateway itself writes, or what frames the message. */
const TAKEN =
  /^(?:connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|via)$/i;

/** What the parameters below one host's path say, by the convention of ssm-sign-proxy. */
export interface HostParameters {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly basic: string | undefined;
  /** Path and query in place of the request's. */
  readonly path: string | undefined;
  readonly queries: readonly (readonly [name: string, value: string])[];
  readonly secrets: readonly string[];
}

/**
 * Reads the convention: `headers/{name}`, `basic/username`, `basic/password`, `rewrite/path`, `queries/{name}`; all else
 * is somebody else's.
 *
 * @throws SecretFailure `invalid` where there is nothing to sign with, or something that must not be sent
 */
export function readParameters(parameters: ReadonlyMap<string, Secret>): HostParameters {
  const below = (type: string) =>
    [...parameters].flatMap(([name, secret]): [string, string][] =>
      name.startsWith(`${type}/`) ? [[name.slice(type.length + 1), secret.reveal()]] : [],
    );
  const one = (name: string) => parameters.get(name)?.reveal();
  const headers = below('headers');
  const queries = below('queries');
  const username = one('basic/username') ?? '';
  const password = one('basic/password') ?? '';
  const rewrite = one('rewrite/path');
  if (headers.length + queries.length === 0 && username === '' && rewrite === undefined) {
    throw new SecretFailure('invalid', 'no parameter of the host is of a known type');
  }
  const basic = username === '' ? undefined : basicValue(username, password);
  return {
    headers: headers.map(checkedHeader),
    basic,
    path: rewrite === undefined ? undefined : resolvePath(rewrite),
    queries,
    secrets: [
      ...headers.map(([, value]) => value),
      ...queries.map(([, value]) => value),
      ...[password, basic?.slice('Basic '.length), rewrite].filter((text) => text !== undefined),
    ],
  };
}

/** In the order of the convention: headers, basic, path, queries. */
export function parameterStoreChanges(
  { headers, basic, path, queries }: HostParameters,
  request: InjectedRequest,
): HeadChanges {
  const set =
    basic === undefined
      ? headers
      : [
          ...headers.filter(([name]) => name.toLowerCase() !== 'authorization'),
          ['Authorization', basic] as const,
        ];
  const own = request.query === undefined ? request.path : `${request.path}?${request.query}`;
  const target = withQueries(path ?? own, queries);
  return { set, drop: [], ...(target !== own && { target }) };
}

function withQueries(
  target: string,
  queries: readonly (readonly [name: string, value: string])[],
): string {
  if (queries.length === 0) return target;
  const [path = '', ...rest] = target.split('?');
  const names = new Set(queries.map(([name]) => name));
  const kept = readQuery(rest.length === 0 ? undefined : rest.join('?'))
    .filter(({ name }) => !names.has(name))
    .map(({ name, value }) => [name, value] as const);
  return `${path}?${encodeSorted([...kept, ...queries])}`;
}

function checkedHeader([name, value]: readonly [string, string]): readonly [string, string] {
  if (!/^[A-Za-z0-9._-]+$/.test(name) || TAKEN.test(name)) {
    throw new SecretFailure('invalid', `no parameter may set the header ${JSON.stringify(name)}`);
  }
  return [name, headerValue(name, value)];
}

const ORIGIN = 'https://host.invalid';

/** A slash is put in front if it is missing; then it is a reference, which must not lead to another host. */
function resolvePath(value: string): string {
  const reference = value.startsWith('/') ? value : `/${value}`;
  const strays = /^\/\/|[\\\x00-\x1f\x7f]/.test(reference) || !URL.canParse(reference, ORIGIN);
  const url = strays ? undefined : new URL(reference, ORIGIN);
  if (url?.origin === ORIGIN && !url.pathname.startsWith('//'))
    return `${url.pathname}${url.search}`;
  throw new SecretFailure('invalid', 'rewrite/path is not a path of the host');
}
