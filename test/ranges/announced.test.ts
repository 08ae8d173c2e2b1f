import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { createCertificates } from '../support/certificates.ts';
import { ec2Ranges } from '../support/ip-ranges.ts';
import { publish, startListServer, startTunnelProxy } from '../support/list-server.ts';
import { manyNetworks } from '../support/ranges.ts';
import { FakeSns } from '../support/sns.ts';
import { ROOT } from '../support/sources.ts';

const sns = new FakeSns();
const own = createCertificates('127.0.0.1');

function md5(content: string): string {
  return createHash('md5').update(content).digest('hex');
}

/** A watch that takes AWS and SNS for what a proxy leads it to. */
async function watch(t: TestContext, first: string) {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-sns-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const lists = await startListServer(t);
  const proxy = await startTunnelProxy(t, new URL(lists.url));
  const published = { text: first };
  const confirmed: string[] = [];
  lists.answer = (incoming, response) => {
    if (incoming.headers.host === 'ip-ranges.amazonaws.com') {
      return publish(published.text)(incoming, response);
    }
    if (incoming.url?.endsWith('.pem')) return publish(sns.certificate)(incoming, response);
    confirmed.push(incoming.url ?? '');
    publish('<ConfirmSubscriptionResponse/>')(incoming, response);
  };
  await Promise.all([
    writeFile(join(dir, 'ca.pem'), lists.ca),
    writeFile(join(dir, 'crt.pem'), own.cert),
    writeFile(join(dir, 'key.pem'), own.key),
    writeFile(
      join(dir, 'sekisho.yaml'),
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
  const child = spawn(process.execPath, [join(ROOT, 'bin/sekisho.js'), 'ranges', 'watch'], {
    cwd: dir,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  const logged = async (message: string) => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`the watch ended before it said ${message}`);
      const facts = JSON.parse(value) as { msg: string; bind?: string; ignored?: boolean };
      if (facts.msg === message) return facts;
    }
  };
  const { bind = '' } = await logged('watching ranges');
  const send = async (body: string) => {
    const sent = request(`https://${bind}/sns`, {
      method: 'POST',
      ca: own.ca,
      headers: { 'content-type': 'text/plain; charset=UTF-8' },
    });
    sent.end(body);
    const [response] = await once(sent, 'response');
    return { status: response.statusCode as number, body: await text(response) };
  };
  await logged('applied');
  const fetches = () =>
    lists.requests.filter(({ headers }) => headers.host === 'ip-ranges.amazonaws.com').length;
  return {
    published,
    confirmed,
    logged,
    send,
    fetches,
    list: () => readFile(join(dir, 'list'), 'utf8'),
  };
}

test('an announced list is applied at once, and an older one is not', async (t) => {
  const { published, logged, send, fetches, list } = await watch(t, ec2Ranges(manyNetworks(2)));
  published.text = ec2Ranges(manyNetworks(3), '1769904001');
  const { status } = await send(sns.announcement('1769904001', md5(published.text)));
  assert.equal(status, 200);
  assert.equal((await logged('a list is announced')).ignored, false);
  await logged('applied');
  assert.match(await list(), /\n10\.0\.4\.0\/24\n$/);
  assert.equal(fetches(), 2);
  await send(sns.announcement('1769904001', md5(published.text)));
  assert.equal((await logged('a list is announced')).ignored, true);
  assert.equal(fetches(), 2);
});

test('a backlog of messages leads to one apply, of the newest', async (t) => {
  const { published, logged, send, fetches } = await watch(t, ec2Ranges(manyNetworks(2)));
  published.text = ec2Ranges(manyNetworks(4), '1769904009');
  const newest = sns.announcement('1769904009', md5(published.text));
  const older = [1, 2, 3].map((i) => sns.announcement(`176990400${i}`, md5('another')));
  await Promise.all([newest, ...older].map(send));
  await logged('applied');
  await send(sns.announcement('1769904009', md5(published.text)));
  for (;;) if ((await logged('a list is announced')).ignored === true) break;
  assert.ok(fetches() <= 3, `${fetches()} fetches`);
});

test('what is not to be believed is refused, and a subscription confirmed', async (t) => {
  const { confirmed, send, fetches } = await watch(t, ec2Ranges(manyNetworks(2)));
  assert.equal((await send('{}')).status, 403);
  const forged = { ...JSON.parse(sns.announcement('9', md5('x'))), Message: '{}' };
  assert.equal((await send(JSON.stringify(forged))).status, 403);
  const confirming = sns.message({
    Type: 'SubscriptionConfirmation',
    Token: 'abc',
    SubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=abc',
  });
  assert.deepEqual(await send(confirming), { status: 200, body: '{"outcome":"confirmed"}' });
  assert.deepEqual(confirmed, ['/?Action=ConfirmSubscription&Token=abc']);
  assert.equal(fetches(), 1);
});
