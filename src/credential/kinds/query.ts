import type { QueryCredential } from '../../config/config.ts';
import type { HeadChanges, InjectedRequest } from '../../core/injection.ts';
import { readQuery } from '../query-string.ts';
import type { Values } from '../values.ts';

/** Behind what the client sent, without its own parameters of these names. All else of the query stays as it is. */
export function queryChanges(
  { parameters }: QueryCredential,
  { path, query }: InjectedRequest,
  values: Values,
): HeadChanges {
  const names = new Set(parameters.map(({ name }) => name));
  const kept = readQuery(query).filter(({ name }) => !names.has(name));
  const set = parameters.map(
    ({ name, value }) => `${encodeURIComponent(name)}=${encodeURIComponent(values.text(value))}`,
  );
  return {
    set: [],
    drop: [],
    target: `${path}?${[...kept.map(({ raw }) => raw), ...set].join('&')}`,
  };
}
