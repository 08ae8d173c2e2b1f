import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  PublishCommand,
  SetTopicAttributesCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import { ADMIN, startFakeAws } from '../support/aws/fake-aws.ts';
import { Sns } from '../support/aws/sns.ts';
import { createCertificates } from '../support/certificates.ts';
import { ec2Ranges } from '../support/ip-ranges.ts';
import { publish, startListServer, startTunnelProxy } from '../support/list-server.ts';
import { manyNetworks } from '../support/ranges.ts';
import { watchHere } from '../support/ranges-cli.ts';
import { TOPIC } from '../support/sns-signer.ts';

const own = createCertificates('127.0.0.1');
const LIST = 'https://ip-ranges.amazonaws.com/ip-ranges.json';
const STRANGERS = TOPIC.replace('806199016981', '123456789012');

function announcement(text: string, synctoken: string, more: Record<string, string> = {}): string {
  const md5 = createHash('md5').update(text).digest('hex');
  return JSON.stringify({ 'create-time': 'x', synctoken, md5, url: LIST, ...more });
}

/** AWS as it is in the world: its list, and SNS, whose client signs and whose messages are delivered. */
async function world(t: TestContext) {
  const sns = new Sns(own.ca);
  for (const topic of [TOPIC, STRANGERS]) sns.addTopic(topic);
  const aws = await startFakeAws([sns.service]);
  t.after(aws.close);
  const client = new SNSClient({ endpoint: aws.url, region: 'us-east-1', credentials: ADMIN });
  t.after(() => client.destroy());
  const lists = await startListServer(t);
  const published = { text: ec2Ranges(manyNetworks(2)) };
  lists.answer = (incoming, response) => {
    if (incoming.headers.host !== 'ip-ranges.amazonaws.com') return sns.answer(incoming, response);
    publish(published.text)(incoming, response);
  };
  return { sns, client, lists, published };
}

/** A watch that takes AWS and SNS for what a proxy leads it to, when it has applied for the first time. */
async function watch(t: TestContext) {
  const { sns, client, lists, published } = await world(t);
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-sns-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const proxy = await startTunnelProxy(t, new URL(lists.url));
  const config = join(dir, 'sekisho.yaml');
  await Promise.all([
    writeFile(join(dir, 'ca.pem'), lists.ca),
    writeFile(join(dir, 'crt.pem'), own.cert),
    writeFile(join(dir, 'key.pem'), own.key),
    writeFile(
      config,
      `version: 1
gateway: { name: g1, dataDir: var }
sets: { ec2: { ranges: { provider: aws, service: EC2 } } }
ranges:
  fetch: { proxy: "${proxy.url}", ca: { file: ca.pem }, retries: 2 }
  sns: {}
  watch: { bind: "127.0.0.1:0", every: 1h, tls: { certificate: { file: crt.pem }, key: { file: key.pem } } }
  targets: { list: { set: ec2, file: { path: list, format: plain } } }
`,
    ),
  ]);
  const logged = watchHere(t, config);
  const { bind } = await logged(({ msg }) => msg === 'watching ranges');
  const endpoint = `https://${bind}/sns`;
  await logged(({ msg }) => msg === 'applied');
  const subscribe = async (TopicArn: string) => {
    await client.send(new SubscribeCommand({ TopicArn, Protocol: 'https', Endpoint: endpoint }));
    await sns.delivered();
  };
  const tell = async (Message: string, TopicArn = TOPIC) => {
    await client.send(new PublishCommand({ TopicArn, Message, Subject: 'IP Space Changed' }));
  };
  return {
    sns,
    client,
    published,
    logged,
    subscribe,
    tell,
    /** Delivers a message as it is. @returns the status of each try */
    deliver: async (message: string) => (await sns.deliver(endpoint, message)).statuses,
    fetches: () =>
      lists.requests.filter(({ headers }) => headers.host === 'ip-ranges.amazonaws.com').length,
    list: () => readFile(join(dir, 'list'), 'utf8'),
  };
}

test('a subscription is confirmed by itself, and what is published is applied at once, by either signature', async (t) => {
  const { sns, client, published, logged, subscribe, tell, list } = await watch(t);
  await subscribe(TOPIC);
  assert.ok(sns.isConfirmed(TOPIC));
  for (const [i, AttributeValue] of ['1', '2'].entries()) {
    await client.send(
      new SetTopicAttributesCommand({
        TopicArn: TOPIC,
        AttributeName: 'SignatureVersion',
        AttributeValue,
      }),
    );
    published.text = ec2Ranges(manyNetworks(3 + i), `176990400${1 + i}`);
    await tell(announcement(published.text, `176990400${1 + i}`));
    await logged(({ msg }) => msg === 'applied');
    assert.match(await list(), i === 0 ? /\n10\.0\.4\.0\/24\n$/ : /\n10\.0\.6\.0\/24\n$/);
  }
  await sns.delivered();
  assert.deepEqual(
    sns.deliveries.map(({ type, statuses }) => `${type} ${statuses}`),
    ['SubscriptionConfirmation 200', 'Notification 200', 'Notification 200'],
  );
});

test('a backlog of fifty messages leads to one apply', async (t) => {
  const { sns, published, logged, subscribe, tell, fetches, list } = await watch(t);
  await subscribe(TOPIC);
  published.text = ec2Ranges(manyNetworks(4), '1769904050');
  const tokens = Array.from({ length: 50 }, (_, i) => String(1769904001 + i));
  await Promise.all(
    tokens.map((token) =>
      tell(announcement(token === '1769904050' ? published.text : token, token)),
    ),
  );
  await logged(({ msg }) => msg === 'applied');
  await sns.delivered();
  assert.equal(sns.deliveries.filter(({ statuses }) => statuses.join() === '200').length, 51);
  assert.match(await list(), /\n10\.0\.6\.0\/24\n$/);
  // Whatever was told in the meantime is done with: the next one is the first that leads to anything.
  await tell(announcement(published.text, '1769904050'));
  await logged(({ ignored, token }) => ignored === true && token === '1769904050');
  assert.equal(fetches(), 2);
});

test('a stale cache is not taken for the announced list: it is fetched again, later each time', async (t) => {
  const { published, logged, subscribe, tell, fetches, list } = await watch(t);
  await subscribe(TOPIC);
  const fresh = ec2Ranges(manyNetworks(3), '1769904001');
  const stale = published.text;
  let left = 2;
  Object.defineProperty(published, 'text', { get: () => (left-- > 0 ? stale : fresh) });
  await tell(announcement(fresh, '1769904001'));
  await logged(({ msg }) => msg === 'applied');
  assert.match(await list(), /\n10\.0\.4\.0\/24\n$/);
  assert.equal(fetches(), 1 + 3);
});

test('SNS sends again what could not be verified for want of its certificate', async (t) => {
  const { sns, published, logged, subscribe, tell, list } = await watch(t);
  const { answer } = sns;
  // The confirmation is verified by the same certificate, so that it is asked for with the first message.
  let away = 4;
  sns.answer = (incoming, response) => {
    if (incoming.url?.endsWith('.pem') && away-- > 0) return void response.writeHead(503).end();
    answer.call(sns, incoming, response);
  };
  await subscribe(TOPIC);
  assert.deepEqual(sns.deliveries[0]?.statuses, [503, 200]);
  published.text = ec2Ranges(manyNetworks(3), '1769904001');
  await tell(announcement(published.text, '1769904001'));
  await logged(({ msg }) => msg === 'applied');
  assert.match(await list(), /\n10\.0\.4\.0\/24\n$/);
});

test('what is not to be believed', async (t) => {
  const { sns, published, logged, subscribe, tell, deliver, fetches } = await watch(t);
  await subscribe(TOPIC);
  const { signer } = sns;
  const newer = announcement('a list that is not there', '1769904099');
  const message = (fields: Record<string, string>) => signer.message({ Message: newer, ...fields });

  await t.test('a subscription to a topic of somebody else is not confirmed', async () => {
    await subscribe(STRANGERS);
    assert.deepEqual(sns.deliveries.at(-1)?.statuses, [403]);
    assert.equal(sns.isConfirmed(STRANGERS), false);
  });
  const REFUSED: Readonly<Record<string, () => string>> = {
    'a forged signature': () =>
      JSON.stringify({ ...JSON.parse(message({})), Message: announcement('x', '1769904100') }),
    'a message that another key has signed': () =>
      new Sns(own.ca).signer.message({ Message: newer }),
    'a message of another topic': () => message({ TopicArn: STRANGERS }),
    'a certificate from another host': () =>
      message({ SigningCertURL: 'https://sns.us-east-1.amazonaws.com.attacker.example/a.pem' }),
    'a certificate by http:': () =>
      message({ SigningCertURL: 'http://sns.us-east-1.amazonaws.com/a.pem' }),
    'a list by http:': () =>
      message({ Message: announcement('x', '1769904099', { url: LIST.replace('https', 'http') }) }),
    'a list at another host': () =>
      message({ Message: announcement('x', '1769904099', { url: 'https://attacker.example/' }) }),
    'an md5 that is a magic word': () =>
      message({ Message: announcement('x', '1769904099', { md5: 'test-hash' }) }),
    'what is no message': () => '{"Type":"Notification"}',
  };
  for (const [name, make] of Object.entries(REFUSED)) {
    await t.test(`${name}: refused, and not sent again`, async () => {
      assert.deepEqual(await deliver(make()), [403]);
    });
  }
  await t.test('a true message of before, replayed: ignored', async () => {
    await tell(announcement(published.text, '1769904000'));
    assert.equal((await logged(({ msg }) => msg === 'a list is announced')).ignored, true);
  });
  assert.equal(fetches(), 1);
});
