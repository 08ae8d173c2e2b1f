import { decodeFormText } from '../form-text.ts';
import type { Field } from './message.ts';

/** The parameters of a query as they were sent. */
export function rawParameters(query: string | undefined): Field[] {
  if (query === undefined || query === '') return [];
  return query.split('&').map((pair) => {
    const equals = pair.indexOf('=');
    return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
  });
}

export function decodedParameters(query: string | undefined): Field[] {
  return rawParameters(query).map(([name, value]) => [decodeFormText(name), decodeFormText(value)]);
}

/** A query of parameters that are encoded already; undefined without any. */
export function joinParameters(parameters: readonly Field[]): string | undefined {
  const pairs = parameters.map(([name, value]) => `${visible(name)}=${visible(value)}`);
  return pairs.length === 0 ? undefined : pairs.join('&');
}

export function encodeParameters(parameters: readonly Field[]): string | undefined {
  return joinParameters(parameters.map(([name, value]) => [encode(name), encode(value)]));
}

/** A path in which nothing stands that could not be sent. What is encoded stays as it is. */
export function sendablePath(path: string): string {
  return path.replace(/[^\x21-\x7e]+|[?#]/g, encode);
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function visible(text: string): string {
  return text.replace(/[^\x21-\x7e]+|[#&]/g, encode);
}
