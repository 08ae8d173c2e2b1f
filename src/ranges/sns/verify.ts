import { createVerify, X509Certificate } from 'node:crypto';
import { RangesError } from '../ranges-error.ts';
import type { SnsMessage } from './message.ts';

/** By the version of the signature. */
const DIGESTS = { '1': 'RSA-SHA1', '2': 'RSA-SHA256' } as const;

const HOST = /^sns\.[a-z0-9-]{3,}\.amazonaws\.com(?:\.cn)?$/;

/** Whoever names the certificate chooses who signs, so that it must be SNS's own. @throws RangesError `ranges-refused` */
export function certificateUrl({ SigningCertURL }: SnsMessage): string {
  const url = snsUrl(SigningCertURL);
  if (url?.pathname.endsWith('.pem') && url.search === '' && url.hash === '') return url.href;
  throw new RangesError('ranges-refused', 'the certificate of the message is not one of SNS');
}

/** An address of SNS itself. */
export function snsUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' || url.port !== '' || !HOST.test(url.hostname)) return undefined;
  return url.username === '' && url.password === '' ? url : undefined;
}

/**
 * Holds a message to its signature.
 *
 * @param certificate PEM, from `certificateUrl`
 * @param now milliseconds since the epoch
 * @see https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
 * @throws RangesError `ranges-refused`
 */
export function verifySnsMessage(message: SnsMessage, certificate: string, now: number): void {
  const { validFromDate, validToDate, publicKey } = readCertificate(certificate);
  if (now < validFromDate.getTime() || now > validToDate.getTime()) {
    throw new RangesError('ranges-refused', 'the certificate of the message is not valid now');
  }
  const verify = createVerify(DIGESTS[message.SignatureVersion]).update(signedText(message));
  if (
    publicKey.asymmetricKeyType === 'rsa' &&
    verify.verify(publicKey, message.Signature, 'base64')
  ) {
    return;
  }
  throw new RangesError('ranges-refused', 'the signature of the message does not hold');
}

function readCertificate(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    const message = 'what is at the address of the certificate is none';
    throw new RangesError('ranges-refused', message, { cause: error });
  }
}

/** Name and value of each signed field, each on a line of its own, by name. */
export function signedText(message: SnsMessage): string {
  const { Message, MessageId, Timestamp, TopicArn, Type } = message;
  const fields: Record<string, string> = { Message, MessageId, Timestamp, TopicArn, Type };
  if (message.Type !== 'Notification') {
    fields.SubscribeURL = message.SubscribeURL;
    fields.Token = message.Token;
  } else if (typeof message.Subject === 'string') fields.Subject = message.Subject;
  return Object.keys(fields)
    .sort()
    .map((name) => `${name}\n${fields[name]}\n`)
    .join('');
}
