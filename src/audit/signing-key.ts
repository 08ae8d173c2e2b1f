import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SekishoError } from '../core/errors.ts';

/** @param path of an Ed25519 private key in PEM @throws SekishoError `audit-key-invalid` */
export function readSigningKey(path: string): KeyObject {
  return readKey(path, 'private', createPrivateKey);
}

/** @param path of an Ed25519 public key in PEM, or of the private one @throws SekishoError `audit-key-invalid` */
export function readVerifyingKey(path: string): KeyObject {
  return readKey(path, 'public', createPublicKey);
}

function readKey(path: string, kind: string, parse: (pem: string) => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw unusable(path, kind, (error as NodeJS.ErrnoException).code ?? 'no PEM');
  }
  if (key.asymmetricKeyType !== 'ed25519') throw unusable(path, kind, `${key.asymmetricKeyType}`);
  return key;
}

// By its code alone: what OpenSSL says of a key may quote from it.
function unusable(path: string, kind: string, found: string): SekishoError {
  return new SekishoError(
    'audit-key-invalid',
    `${path} cannot be read as an Ed25519 ${kind} key in PEM (${found}); make one with: openssl genpkey -algorithm ed25519 -out audit.key`,
  );
}
