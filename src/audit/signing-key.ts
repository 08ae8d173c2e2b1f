import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { SekishoError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';

const REMEDY = 'make one with: openssl genpkey -algorithm ed25519 -out audit.key';

/** @throws SekishoError `audit-key-invalid` */
export function parseSigningKey(pem: Secret): KeyObject {
  return parseKey(() => createPrivateKey(pem.reveal()), `${pem}`, 'private');
}

/** @param name where it comes from @throws SekishoError `audit-key-invalid` */
export function parseVerifyingKey(pem: string, name: string): KeyObject {
  return parseKey(() => createPublicKey(pem), name, 'public');
}

function parseKey(parse: () => KeyObject, name: string, kind: string): KeyObject {
  const text = `${name} holds no Ed25519 ${kind} key in PEM`;
  let key: KeyObject;
  try {
    key = parse();
  } catch (error) {
    // What OpenSSL says of a key may quote from it.
    const { code } = error as NodeJS.ErrnoException;
    throw new SekishoError('audit-key-invalid', `${text} (${code}); ${REMEDY}`);
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  const found = `its type is ${key.asymmetricKeyType}`;
  throw new SekishoError('audit-key-invalid', `${text}, ${found}; ${REMEDY}`);
}
