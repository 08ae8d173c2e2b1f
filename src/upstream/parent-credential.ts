import type { Secret } from '../core/secret.ts';

/** What a parent proxy knows the gateway by. */
export interface ParentCredential {
  readonly username: string;
  readonly password: Secret;
}

/** The value of `Proxy-Authorization` (RFC 7617). It may go to the parent proxy, and nowhere else. */
export function proxyAuthorization({ username, password }: ParentCredential): string {
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`;
}
