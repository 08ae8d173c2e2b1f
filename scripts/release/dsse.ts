/** Signed envelopes: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

export interface Envelope {
  readonly payloadType: string;
  /** Base64. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

const IN_TOTO = 'application/vnd.in-toto+json';

/** @param key an Ed25519 private key */
export function seal(statement: object, key: KeyObject): Envelope {
  const payload = Buffer.from(JSON.stringify(statement));
  const sig = sign(null, preAuthentication(IN_TOTO, payload), key).toString('base64');
  return {
    payloadType: IN_TOTO,
    payload: payload.toString('base64'),
    signatures: [{ keyid: keyId(createPublicKey(key)), sig }],
  };
}

/** @returns the payload, or undefined where no signature is by this key */
export function open({ payloadType, payload, signatures }: Envelope, key: KeyObject): unknown {
  const bytes = Buffer.from(payload, 'base64');
  const signed = preAuthentication(payloadType, bytes);
  // The key id is a hint and proves nothing: every signature is tried.
  const good = signatures.some(({ sig }) => verify(null, signed, key, Buffer.from(sig, 'base64')));
  return good && payloadType === IN_TOTO ? JSON.parse(bytes.toString()) : undefined;
}

/** SHA-256 of the key in its SubjectPublicKeyInfo form. */
function keyId(key: KeyObject): string {
  const der = key.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex');
}

function preAuthentication(type: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}
