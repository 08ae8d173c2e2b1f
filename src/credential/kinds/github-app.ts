import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import type { GitHubAppCredential } from '../../config/config.ts';
import type { Fetched } from '../../secret/cache.ts';
import { SecretFailure } from '../../secret/failure.ts';
import { requestToken, type TokenRequest } from '../token-request.ts';
import type { Values } from '../values.ts';
import { usableMs } from './oauth2.ts';

/**
 * A token of an installation
 * (https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app).
 *
 * @throws SecretFailure
 */
export async function fetchInstallationToken(
  { appId, installationId, privateKey, api }: GitHubAppCredential,
  values: Values,
  { ca, signal }: Pick<TokenRequest, 'ca' | 'signal'>,
  now: number,
): Promise<Fetched<string>> {
  const url = `${api.replace(/\/$/, '')}/app/installations/${installationId}/access_tokens`;
  const { token, expires_at: expiresAt } = await requestToken({
    url,
    headers: {
      authorization: `Bearer ${appToken(appId, readKey(values.of(privateKey)), now)}`,
      accept: 'application/vnd.github+json',
      'x-github-api-version': '2022-11-28',
    },
    body: '',
    ca,
    signal,
  });
  const lifetimeMs = Date.parse(String(expiresAt)) - now;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || !(lifetimeMs > 0)) {
    throw new SecretFailure('invalid', `${url} gives no token`);
  }
  return { value: token, version: new Date(now).toISOString(), lifetimeMs: usableMs(lifetimeMs) };
}

/** @throws SecretFailure */
function readKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // The error of OpenSSL adds nothing.
  }
  throw new SecretFailure('invalid', 'the private key of the app is no RSA key in PEM');
}

/** What the app itself is known by: a JWT (RFC 7519) with RS256, of ten minutes at most, from a clock that may be fast. */
export function appToken(appId: string, key: KeyObject, now: number): string {
  const seconds = Math.floor(now / 1000);
  const claims = { iat: seconds - 60, exp: seconds + 540, iss: appId };
  const signed = [{ alg: 'RS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`;
}
