import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { SekishoError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';

/** The CA that vouches for the gateway where it answers in a destination's name. */
export interface Authority {
  /** The first one signs; with what leads from it to its root, where that is another one. */
  readonly certificates: readonly X509Certificate[];
  readonly key: KeyObject;
  /** SHA-256, as browsers and openssl show it. */
  readonly fingerprint: string;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** @param pem the certificate of the CA, which clients trust, or one that its root vouches for, with the root behind it */
export function readCertificate(pem: string): readonly [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
  if (first === undefined) throw new TypeError('it was checked for a certificate');
  return [first, ...rest];
}

/**
 * @param pem its certificates
 * @param key in PEM
 * @throws SekishoError `intercept-ca-invalid`; no message has anything of the key
 */
export function openAuthority(pem: string, key: Secret): Authority {
  const certificates = readCertificate(pem);
  const [first] = certificates;
  if (!first.ca) throw invalid('the certificate is none of a CA (basicConstraints CA:TRUE)');
  const own = parseKey(key);
  if (!first.checkPrivateKey(own)) throw invalid(`${key.name} is not the key of the certificate`);
  if (own.asymmetricKeyType !== 'ec') {
    throw invalid(
      `${key.name} is no key on a curve; make one with: openssl ecparam -genkey -noout -name prime256v1`,
    );
  }
  return { certificates, key: own, fingerprint: first.fingerprint256 };
}

// What OpenSSL says of a key may quote from it.
function parseKey(key: Secret): KeyObject {
  try {
    return createPrivateKey(key.reveal());
  } catch {
    throw invalid(`${key.name} holds no private key in PEM that can be read without a password`);
  }
}

function invalid(what: string): SekishoError {
  return new SekishoError('intercept-ca-invalid', `the CA of intercept cannot be used: ${what}`);
}
