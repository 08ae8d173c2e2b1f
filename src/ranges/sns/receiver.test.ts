import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CERTIFICATE_URL, SnsSigner, TOPIC } from '../../../test/support/sns-signer.ts';
import type { Announcement } from './announcement.ts';
import { parseSnsMessage } from './message.ts';
import { SnsReceiver } from './receiver.ts';
import { signedText } from './verify.ts';

const sns = new SnsSigner();
const MD5 = '0123456789abcdef0123456789abcdef';

function receiver(now = Date.now()) {
  const fetched: string[] = [];
  const announced: Announcement[] = [];
  const taker = new SnsReceiver({
    topic: TOPIC,
    now: () => now,
    announced: (one) => announced.push(one),
    fetch: async (url) => {
      fetched.push(url);
      return url.endsWith('.pem') ? sns.certificate : '<ConfirmSubscriptionResponse/>';
    },
  });
  return { fetched, announced, receive: (text: string) => taker.receive(text) };
}

const refused = (message: RegExp) => ({ code: 'ranges-refused', message });

for (const version of ['1', '2'] as const) {
  test(`a notification with a signature of version ${version} is believed`, async () => {
    const { announced, receive } = receiver();
    const Message = JSON.stringify({
      'create-time': 'x',
      synctoken: '1769904001',
      md5: MD5.toUpperCase(),
      url: 'https://ip-ranges.amazonaws.com/ip-ranges.json',
    });
    assert.equal(await receive(sns.message({ Message }, version)), 'announced');
    const url = 'https://ip-ranges.amazonaws.com/ip-ranges.json';
    assert.deepEqual(announced, [{ token: 1769904001n, md5: MD5, url }]);
  });
}

// Word for word as AWS's page on verifying has it.
test('the signed text is each field and its value, line by line; Subject only where there is one', () => {
  const message = JSON.parse(sns.message({ Message: 'M', MessageId: 'I', Timestamp: 'T' }));
  const text = (more: object) =>
    signedText(parseSnsMessage(JSON.stringify({ ...message, ...more })));
  const rest = `MessageId\nI\nSUBJECTTimestamp\nT\nTopicArn\n${TOPIC}\nType\nNotification\n`;
  assert.equal(text({}), `Message\nM\n${rest.replace('SUBJECT', '')}`);
  assert.equal(text({ Subject: 'S' }), `Message\nM\n${rest.replace('SUBJECT', 'Subject\nS\n')}`);
  assert.equal(
    text({ Type: 'SubscriptionConfirmation', SubscribeURL: 'U', Token: 'K', Subject: 'S' }),
    `Message\nM\nMessageId\nI\nSubscribeURL\nU\nTimestamp\nT\nToken\nK\nTopicArn\n${TOPIC}\nType\nSubscriptionConfirmation\n`,
  );
});

test('the certificate is fetched once', async () => {
  const { fetched, receive } = receiver();
  for (let i = 0; i < 3; i++) await receive(sns.announcement(String(i), MD5));
  assert.deepEqual(fetched, [CERTIFICATE_URL]);
});

test('a message whose text, subject or token was changed is refused', async () => {
  const { announced, receive } = receiver();
  for (const change of [
    { Message: '{}' },
    { Subject: 'other' },
    { Timestamp: 'x' },
    { Signature: 'AAAA' },
  ]) {
    const changed = { ...JSON.parse(sns.announcement('1', MD5)), ...change };
    await assert.rejects(receive(JSON.stringify(changed)), refused(/signature .* does not hold/));
  }
  const weaker = { ...JSON.parse(sns.announcement('1', MD5)), SignatureVersion: '1' };
  await assert.rejects(receive(JSON.stringify(weaker)), refused(/does not hold/));
  assert.deepEqual(announced, []);
});

const STRANGE_CERTIFICATES = [
  'http://sns.us-east-1.amazonaws.com/a.pem',
  'https://sns.us-east-1.amazonaws.com.attacker.example/a.pem',
  'https://attacker.example/sns.us-east-1.amazonaws.com/a.pem',
  'https://sns.us-east-1.amazonaws.com@attacker.example/a.pem',
  'https://user@sns.us-east-1.amazonaws.com/a.pem',
  'https://sns.us-east-1.amazonaws.com:8443/a.pem',
  'https://s3.us-east-1.amazonaws.com/bucket/a.pem',
  'https://sns.us-east-1.amazonaws.com/a.txt',
  'https://sns.us-east-1.amazonaws.com/a?b=.pem',
  'https://xsns.us-east-1.amazonaws.com/a.pem',
];

for (const SigningCertURL of STRANGE_CERTIFICATES) {
  test(`a certificate from ${SigningCertURL} is not even fetched`, async () => {
    const { fetched, receive } = receiver();
    await assert.rejects(receive(sns.message({ SigningCertURL })), refused(/not one of SNS/));
    assert.deepEqual(fetched, []);
  });
}

test('a certificate of China is one of SNS', async () => {
  const { receive } = receiver();
  const SigningCertURL = 'https://sns.cn-north-1.amazonaws.com.cn/a.pem';
  await assert.rejects(receive(sns.message({ SigningCertURL })), refused(/announces no list/));
});

test('a message of another topic is refused before anything is fetched', async () => {
  const { fetched, receive } = receiver();
  const TopicArn = 'arn:aws:sns:us-east-1:123456789012:AmazonIpSpaceChanged';
  await assert.rejects(receive(sns.message({ TopicArn })), refused(/another topic/));
  assert.deepEqual(fetched, []);
});

test('a certificate that is over is refused', async () => {
  const { receive } = receiver(Date.now() + 3 * 86_400_000);
  await assert.rejects(receive(sns.announcement('1', MD5)), refused(/not valid now/));
});

const confirming = (fields: Record<string, string> = {}) =>
  sns.message({
    Type: 'SubscriptionConfirmation',
    Token: 'abc',
    SubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=abc',
    ...fields,
  });

test('a subscription to the topic is confirmed at SNS, and nowhere else', async () => {
  const { fetched, receive } = receiver();
  assert.equal(await receive(confirming()), 'confirmed');
  assert.match(fetched.at(-1) ?? '', /Action=ConfirmSubscription/);
  await assert.rejects(
    receive(confirming({ SubscribeURL: 'https://169.254.169.254/latest' })),
    refused(/not confirmed at SNS/),
  );
  const TopicArn = 'arn:aws:sns:us-east-1:123456789012:other';
  await assert.rejects(receive(confirming({ TopicArn })), refused(/another topic/));
  assert.equal(fetched.length, 2);
});

test('an unsubscription is not undone', async () => {
  const { fetched, receive } = receiver();
  assert.equal(await receive(confirming({ Type: 'UnsubscribeConfirmation' })), 'ignored');
  assert.deepEqual(fetched, [CERTIFICATE_URL]);
});

test('an announcement of a list elsewhere, by http:, or with a magic md5 is refused', async () => {
  const { receive } = receiver();
  const tell = (more: Record<string, string>) => receive(sns.announcement('1', MD5, more));
  await assert.rejects(
    tell({ url: 'http://ip-ranges.amazonaws.com/ip-ranges.json' }),
    refused(/not at https/),
  );
  await assert.rejects(
    tell({ url: 'https://attacker.example/ip-ranges.json' }),
    refused(/not at https/),
  );
  await assert.rejects(
    tell({ url: 'https://ip-ranges.amazonaws.com:1/x' }),
    refused(/not at https/),
  );
  await assert.rejects(tell({ md5: 'test-hash' }), refused(/announces no list/));
  await assert.rejects(tell({ synctoken: '-1' }), refused(/announces no list/));
});

test('what is no message of SNS is refused', async () => {
  const { receive } = receiver();
  for (const text of ['', '{}', '[]', '{"Type":"Notification"}', '{"Type":"Other"}']) {
    await assert.rejects(receive(text), refused(/no message of SNS/));
  }
});
