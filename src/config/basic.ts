import { Fault, quote } from '../core/diagnostic.ts';
import { anySecretRef, secretRef } from './secret-ref.ts';
import { parsed, section } from './shape.ts';

/** @throws Fault */
function parseUsername(text: string): string {
  // RFC 7617 2: what follows the first colon is the password.
  if (/^[^:\p{Cc}]+$/u.test(text)) return text;
  throw new Fault(`${quote(text)} is not a user name`, 'leave out colons and control characters');
}

/** User name and password (RFC 7617). */
export const basic = section({ username: parsed(parseUsername), password: secretRef });

/** As `basic`, with a password that may be kept elsewhere. */
export const basicCredential = section({
  username: parsed(parseUsername),
  password: anySecretRef,
});
