import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ec2Ranges } from '../../../test/support/ip-ranges.ts';
import { publish, startListServer, startTunnelProxy } from '../../../test/support/list-server.ts';
import { manyNetworks } from '../../../test/support/ranges.ts';
import { SnsSigner } from '../../../test/support/sns-signer.ts';
import { handler } from './handler.ts';

const sns = new SnsSigner();

/** As Lambda hands a message of SNS over. */
function record(message: string) {
  const { SigningCertURL, UnsubscribeURL, ...rest } = JSON.parse(message);
  const Sns = { ...rest, SigningCertUrl: SigningCertURL, UnsubscribeUrl: UnsubscribeURL };
  return { EventSource: 'aws:sns', EventVersion: '1.0', EventSubscriptionArn: 'x', Sns };
}

async function place(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-lambda-'));
  t.after(() => rm(dir, { recursive: true }));
  const lists = await startListServer(t);
  const proxy = await startTunnelProxy(t, new URL(lists.url));
  const published = { text: ec2Ranges(manyNetworks(2)) };
  lists.answer = (request, response) => {
    const isCertificate = request.url?.endsWith('.pem') === true;
    publish(isCertificate ? sns.certificate : published.text)(request, response);
  };
  await writeFile(join(dir, 'ca.pem'), lists.ca);
  await writeFile(
    join(dir, 'sekisho.yaml'),
    `version: 1
gateway: { dataDir: var }
sets: { ec2: { ranges: { provider: aws, service: EC2 } } }
ranges:
  sns: {}
  fetch: { proxy: "${proxy.url}", ca: { file: ca.pem }, retries: 0 }
  targets: { list: { set: ec2, file: { path: list, format: plain } } }
`,
  );
  process.env.SEKISHO_CONFIG = join(dir, 'sekisho.yaml');
  const announcement = (token: string) =>
    sns.announcement(token, createHash('md5').update(published.text).digest('hex'));
  return { dir, lists, published, announcement, list: () => readFile(join(dir, 'list'), 'utf8') };
}

test('a schedule applies', async (t) => {
  const { list } = await place(t);
  const event = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
  assert.deepEqual(await handler(event), { applied: true, targets: ['list'] });
  assert.match(await list(), /\n10\.0\.2\.0\/24\n$/);
});

test('several messages lead to one apply, of the newest list', async (t) => {
  const { lists, published, announcement, list } = await place(t);
  published.text = ec2Ranges(manyNetworks(3), '1769904003');
  const Records = ['1769904001', '1769904003', '1769904002'].map((token) =>
    record(announcement(token)),
  );
  assert.deepEqual(await handler({ Records }), { applied: true, targets: ['list'] });
  assert.match(await list(), /\n10\.0\.4\.0\/24\n$/);
  assert.equal(lists.requests.filter(({ url }) => url === '/ip-ranges.json').length, 1);
});

test('a backlog that comes message by message leads to one apply', async (t) => {
  const { lists, published, announcement, list } = await place(t);
  published.text = ec2Ranges(manyNetworks(3), '1769904050');
  const results = [];
  for (let i = 1; i <= 50; i++) {
    const token = String(1769904000 + i);
    results.push(await handler({ Records: [record(announcement(token))] }));
  }
  assert.deepEqual(
    results.filter(({ applied }) => applied),
    [{ applied: true, targets: ['list'] }],
  );
  assert.match(await list(), /\n10\.0\.4\.0\/24\n$/);
  assert.equal(lists.requests.filter(({ url }) => url === '/ip-ranges.json').length, 1);
});

test('a list whose apply failed is applied when its message comes again', async (t) => {
  const { dir, published, announcement, list } = await place(t);
  published.text = ec2Ranges(manyNetworks(3), '1769904001');
  await writeFile(join(dir, 'list'), 'of somebody else\n');
  const event = { Records: [record(announcement('1769904001'))] };
  await assert.rejects(handler(event), { code: 'ranges-conflict' });
  await rm(join(dir, 'list'));
  assert.equal((await handler(event)).applied, true);
  assert.match(await list(), /\n10\.0\.4\.0\/24\n$/);
});

test('a message that is not to be believed applies nothing, and is not sent again', async (t) => {
  const { announcement, lists } = await place(t);
  const forged = { ...JSON.parse(announcement('1769904001')), Message: '{}' };
  const Records = [record(JSON.stringify(forged))];
  assert.deepEqual(await handler({ Records }), { applied: false, targets: [] });
  assert.equal(lists.requests.filter(({ url }) => url === '/ip-ranges.json').length, 0);
});

test('a target or a list that fails has Lambda try again', async (t) => {
  const { lists } = await place(t);
  const Records = [record(sns.announcement('1769904009', '0'.repeat(32)))];
  await assert.rejects(handler({ Records }), { code: 'ranges-unavailable' });
  lists.answer = (_request, response) => response.writeHead(404).end();
  await assert.rejects(handler({}), { code: 'ranges-unavailable' });
});
