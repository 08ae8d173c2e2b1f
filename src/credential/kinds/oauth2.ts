import type { OAuth2Credential } from '../../config/config.ts';
import type { Fetched } from '../../secret/cache.ts';
import { SecretFailure } from '../../secret/failure.ts';
import { requestToken, type TokenRequest } from '../token-request.ts';
import type { Values } from '../values.ts';
import { basicValue } from './basic.ts';

/** An issuer that does not say how long a token holds (RFC 6749 5.1) is asked again after so long. */
const UNSAID_SECONDS = 300;

/** Client credentials (RFC 6749 4.4). @throws SecretFailure */
export async function fetchOAuth2Token(
  kind: OAuth2Credential,
  values: Values,
  { ca, signal }: Pick<TokenRequest, 'ca' | 'signal'>,
  now: number,
): Promise<Fetched<string>> {
  const answer = await requestToken({ ...oauth2Request(kind, values), ca, signal });
  const { access_token: token, token_type: type, expires_in: seconds } = answer;
  // RFC 6750 1.1 and RFC 6749 5.1: the type is not case-sensitive.
  if (
    typeof token !== 'string' ||
    !/^[\x21-\x7e]+$/.test(token) ||
    !/^bearer$/i.test(String(type))
  ) {
    throw new SecretFailure('invalid', `${kind.tokenUrl} gives no bearer token`);
  }
  const lifetime = typeof seconds === 'number' && seconds > 0 ? seconds : UNSAID_SECONDS;
  return {
    value: token,
    version: new Date(now).toISOString(),
    lifetimeMs: usableMs(lifetime * 1000),
  };
}

/** Short of its end: a request takes its time, and clocks differ. */
export function usableMs(lifetimeMs: number): number {
  return Math.max(lifetimeMs - 60_000, lifetimeMs / 2);
}

/** RFC 6749 2.3.1: both are encoded as forms are, before they become a user name and a password. */
export function oauth2Request(
  { tokenUrl, clientId, clientSecret, scope, audience, authenticate }: OAuth2Credential,
  values: Values,
): Pick<TokenRequest, 'url' | 'headers' | 'body'> {
  const secret = values.of(clientSecret);
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (scope.length > 0) form.set('scope', scope.join(' '));
  if (audience !== undefined) form.set('audience', audience);
  if (authenticate === 'body') {
    form.set('client_id', clientId);
    form.set('client_secret', secret);
  }
  return {
    url: tokenUrl,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      ...(authenticate === 'basic' && {
        authorization: basicValue(formEncoded(clientId), formEncoded(secret)),
      }),
    },
    body: form.toString(),
  };
}

function formEncoded(text: string): string {
  return new URLSearchParams({ a: text }).toString().slice(2);
}
