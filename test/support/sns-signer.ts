import { execFileSync } from 'node:child_process';
import { createSign, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSnsMessage } from '../../src/ranges/sns/message.ts';
import { signedText } from '../../src/ranges/sns/verify.ts';

export const TOPIC = 'arn:aws:sns:us-east-1:806199016981:AmazonIpSpaceChanged';
export const CERTIFICATE_URL =
  'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem';

/** Signs as SNS does, with a certificate of its own. */
export class SnsSigner {
  readonly certificate: string;
  readonly #key: string;

  constructor() {
    const dir = mkdtempSync(join(tmpdir(), 'sekisho-sns-'));
    const [key, cert] = [join(dir, 'key'), join(dir, 'cert')];
    const args = ['-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=sns.amazonaws.com'];
    execFileSync('openssl', ['req', '-x509', ...args, '-keyout', key, '-out', cert], {
      stdio: 'pipe',
    });
    this.certificate = readFileSync(cert, 'utf8');
    this.#key = readFileSync(key, 'utf8');
    rmSync(dir, { recursive: true });
  }

  /** @param fields in place of those that a notification has */
  message(fields: Record<string, string> = {}, version: '1' | '2' = '2'): string {
    const unsigned = {
      Type: 'Notification',
      MessageId: randomUUID(),
      TopicArn: TOPIC,
      Message: 'x',
      Timestamp: '2026-11-26T07:00:00.000Z',
      SignatureVersion: version,
      SigningCertURL: CERTIFICATE_URL,
      UnsubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe',
      ...fields,
      Signature: '',
    };
    const digest = version === '1' ? 'RSA-SHA1' : 'RSA-SHA256';
    const text = signedText(parseSnsMessage(JSON.stringify(unsigned)));
    const Signature = createSign(digest).update(text).sign(this.#key, 'base64');
    return JSON.stringify({ ...unsigned, Signature });
  }

  announcement(synctoken: string, md5: string, more: Record<string, string> = {}): string {
    const url = 'https://ip-ranges.amazonaws.com/ip-ranges.json';
    const Message = JSON.stringify({
      'create-time': '2026-11-26-07-00-00',
      synctoken,
      md5,
      url,
      ...more,
    });
    return this.message({ Message, Subject: 'IP Space Changed' });
  }
}
