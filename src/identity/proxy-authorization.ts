import type { Evidence } from '../core/conversation.ts';

export const SCHEMES = ['Basic', 'Bearer'] as const;
export type Scheme = (typeof SCHEMES)[number];

export interface ProxyCredentials {
  readonly scheme: Scheme;
  readonly credentials: string;
}

/**
 * Reads `Proxy-Authorization` (RFC 9110 11.4): undefined when there is none, a text when its form is at fault. A scheme
 * that is not known here is a fault too: whoever sends one believes to be recognised by it.
 */
export function readProxyAuthorization(evidence: Evidence): ProxyCredentials | string | undefined {
  const values = evidence.header('proxy-authorization');
  const [value] = values;
  if (value === undefined) return undefined;
  if (values.length > 1) return 'Proxy-Authorization is sent more than once';
  const match = /^([^ ]+) +([^ ]+)$/.exec(value);
  if (match === null) return 'Proxy-Authorization is not a scheme and its credentials';
  const [, word = '', credentials = ''] = match;
  const scheme = SCHEMES.find((known) => known.toLowerCase() === word.toLowerCase());
  if (scheme === undefined) return 'Proxy-Authorization has a scheme other than Basic and Bearer';
  return { scheme, credentials };
}
