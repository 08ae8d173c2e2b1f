import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { ADMIN, type FakeAws, startFakeAws } from '../support/aws/fake-aws.ts';
import { ObjectStore } from '../support/aws/s3.ts';
import { ParameterStore } from '../support/aws/ssm.ts';
import { Sts } from '../support/aws/sts.ts';
import { type Certificates, createCertificates } from '../support/certificates.ts';
import { RawClient, run, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs } from '../support/programs.ts';

const SERVICES = ['ssm', 'sts', 's3'] as const;
type Service = (typeof SERVICES)[number];

const store = new ObjectStore();
const parameters = new ParameterStore();
let certificates: Certificates;
let aws: FakeAws;
let gateway: TestGateway;

/** AWS over TLS at `SERVICE.localhost`, which recomputes every signature, and a gateway that signs what goes there. */
before(async () => {
  certificates = createCertificates(...SERVICES.map((name) => `${name}.localhost`));
  aws = await startFakeAws([parameters.service, new Sts().service, store.service], {
    certificates,
  });
  const rules = SERVICES.map(
    (name) =>
      `  - { name: ${name}, allow: [fn], to: [${name}.localhost], ports: [${aws.port}], addresses: [127.0.0.1], with: ${name}, intercept: true }`,
  );
  const credentials = SERVICES.map(
    (name) =>
      `  ${name}: { for: ${name}.localhost, tls: { ca: { file: ca.pem } }, sigv4: { service: ${name}, region: ap-northeast-1, maxBody: 64KiB } }`,
  );
  gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
${rules.join('\n')}
credentials:
${credentials.join('\n')}
`,
    { env: aws.env(), files: { 'ca.pem': certificates.ca.toString() } },
  );
});

after(async () => {
  await gateway.stop();
  await aws.close();
});

const WAYS = {
  'an http:// endpoint through the proxy': () => ({
    scheme: 'http',
    handler: { httpAgent: new HttpAgent({ proxyEnv: { http_proxy: gateway.proxyUrl } }) },
  }),
  'an https:// endpoint that is intercepted': () => {
    const ca = readFileSync(join(gateway.dir, 'var', 'intercept-ca.crt'));
    const proxyEnv = { https_proxy: gateway.proxyUrl };
    return { scheme: 'https', handler: { httpsAgent: new HttpsAgent({ proxyEnv, ca }) } };
  },
} as const;

const NOBODY = { accessKeyId: 'AKIADUMMY', secretAccessKey: 'dummy' };

/** Of an SDK client that signs with a key that nobody knows, and goes through the gateway. */
function clientOptions(way: keyof typeof WAYS, service: Service) {
  const { scheme, handler } = WAYS[way]();
  return {
    endpoint: `${scheme}://${service}.localhost:${aws.port}`,
    region: 'us-east-1',
    credentials: NOBODY,
    maxAttempts: 1,
    requestHandler: handler,
  };
}

const BODY = Buffer.alloc(300_000, 'content ');

for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
  test(`the SDK's client of a JSON service is signed anew, by ${way}`, async (t) => {
    parameters.put('/one', 'a value');
    const client = new SSMClient(clientOptions(way, 'ssm'));
    t.after(() => client.destroy());
    const command = new GetParameterCommand({ Name: '/one', WithDecryption: true });
    assert.equal((await client.send(command)).Parameter?.Value, 'a value');
    const call = aws.calls.at(-1);
    assert.deepEqual([call?.identity.arn, call?.region], [ADMIN.arn, 'ap-northeast-1']);
    const used = await gateway.outcome(({ credential }) => credential?.name === 'ssm');
    assert.equal(used.credential?.version, ADMIN.accessKeyId);
    const tooLong = client.send(new GetParameterCommand({ Name: `/${'x'.repeat(70_000)}` }));
    const isRefused = (error: { $metadata?: { httpStatusCode?: number } }) =>
      error.$metadata?.httpStatusCode === 400;
    await assert.rejects(tooLong, isRefused);
  });

  test(`the SDK's client of a query service is signed anew, by ${way}`, async (t) => {
    const client = new STSClient(clientOptions(way, 'sts'));
    t.after(() => client.destroy());
    assert.equal((await client.send(new GetCallerIdentityCommand({}))).Arn, ADMIN.arn);
  });

  test(`the SDK's client of S3 puts objects whole and as streams, and gets them, by ${way}`, async (t) => {
    const client = new S3Client({ ...clientOptions(way, 's3'), forcePathStyle: true });
    t.after(() => client.destroy());
    const object = { Bucket: 'bucket', Key: `a key/with + and ü, by ${way}` };
    const got = async () => {
      const { Body } = await client.send(new GetObjectCommand(object));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    };
    await client.send(new PutObjectCommand({ ...object, Body: BODY }));
    assert.ok(BODY.equals(await got()));
    store.objects.clear();
    // In pieces that the SDK does not know the end of: chunks without signatures, and a checksum behind them.
    const pieces = [BODY.subarray(0, 100_000), BODY.subarray(100_000)];
    const streamed = { Body: Readable.from(pieces), ContentLength: BODY.length };
    await client.send(new PutObjectCommand({ ...object, ...streamed }));
    assert.equal(aws.calls.at(-1)?.verified.payloadHash, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER');
    assert.ok(BODY.equals(await got()));
  });
}

test('a query service takes a form and a query that are signed here', {
  skip: needs('curl'),
}, async () => {
  const url = `http://sts.localhost:${aws.port}/`;
  const env = { http_proxy: gateway.proxyUrl };
  const call = 'Action=GetCallerIdentity&Version=2011-06-15';
  for (const args of [
    ['-d', call, url],
    ['-H', 'Transfer-Encoding: chunked', '-d', call, url],
    [`${url}?${call}`],
  ]) {
    const { stdout } = await run('curl', ['-sS', ...args], { env });
    assert.match(stdout, /<Arn>arn:aws:iam::123456789012:user\/admin<\/Arn>/);
  }
});

const CONTENT = ['a'.repeat(65_536), 'b'.repeat(65_536), 'c'.repeat(1_000)];
const CLIENTS = '0'.repeat(64);
/** As SDKs for Java, C++ and .NET stream: each chunk signed with the client's key, which is nobody's here. */
const SIGNED_CHUNKS = [...CONTENT, ''].map(
  (content) =>
    `${content.length.toString(16)};chunk-signature=${CLIENTS}\r\n${content}${content === '' ? '' : '\r\n'}`,
);
const PLAIN_CHUNKS = [...CONTENT, ''].map(
  (content) => `${content.length.toString(16)}\r\n${content}${content === '' ? '' : '\r\n'}`,
);
const SUM = Buffer.alloc(4);
SUM.writeUInt32BE(crc32(CONTENT.join('')));
const TRAILER = `x-amz-checksum-crc32:${SUM.toString('base64')}\r\n`;
const TRAILER_SIGNATURE = `x-amz-trailer-signature:${CLIENTS}\r\n`;

const STREAMED: readonly [form: string, body: string][] = [
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', `${SIGNED_CHUNKS.join('')}\r\n`],
  [
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    `${SIGNED_CHUNKS.join('')}${TRAILER}${TRAILER_SIGNATURE}\r\n`,
  ],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', `${PLAIN_CHUNKS.join('')}${TRAILER}\r\n`],
];

function put(form: string, key: string, body: string, more: readonly string[] = []) {
  const url = `http://s3.localhost:${aws.port}/bucket/${key}`;
  const lines = [
    `PUT ${url} HTTP/1.1`,
    `Host: s3.localhost:${aws.port}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
    'Content-Encoding: aws-chunked',
    `X-Amz-Content-Sha256: ${form}`,
    `X-Amz-Decoded-Content-Length: ${CONTENT.join('').length}`,
    ...(form.endsWith('-TRAILER') ? ['X-Amz-Trailer: x-amz-checksum-crc32'] : []),
    ...more,
  ];
  return new RawClient(gateway.port).send(`${lines.join('\r\n')}\r\n\r\n${body}`).all();
}

for (const [form, body] of STREAMED) {
  test(`an object that is streamed as ${form} is taken by S3`, async () => {
    const answer = await put(form, form, body);
    assert.equal(statusOf(answer), 200, answer);
    assert.equal(store.objects.get(`/bucket/${form}`)?.toString(), CONTENT.join(''));
    assert.equal(aws.calls.at(-1)?.verified.payloadHash, form);
  });

  test(`an object that is cut, as ${form}, is taken by nobody`, async () => {
    const answer = await put(form, 'cut', body.slice(0, 70_000));
    assert.ok(statusOf(answer) >= 400, answer);
    assert.equal(store.objects.has('/bucket/cut'), false);
  });
}

test('forms of S3 that are not signed here are refused', async () => {
  for (const form of ['STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', 'x'.repeat(64), 'SIGNED']) {
    assert.equal(statusOf(await put(form, 'other', 'no chunks')), 400, form);
  }
});
