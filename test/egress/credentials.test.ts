import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { accessDenied, throttled } from '../support/aws/aws-error.ts';
import { ADMIN, type FakeAws, startFakeAws } from '../support/aws/fake-aws.ts';
import { ObjectStore } from '../support/aws/s3.ts';
import { ParameterStore } from '../support/aws/ssm.ts';
import { Sts } from '../support/aws/sts.ts';
import { createCertificates } from '../support/certificates.ts';
import { RawClient, run, statusOf } from '../support/clients.ts';
import { OK, startScene, startSecureUpstream, TOKEN } from '../support/credential-gateway.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs } from '../support/programs.ts';
import { needsPort80, onPort80 } from '../support/upstreams.ts';

const SSM_HEADER =
  '{ for: api.localhost, header: { Authorization: ["token ", { ssm: /github }] }, TLS }';

async function startParameters(t: TestContext) {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  return { parameters, aws };
}

test('curl gets an API by an http:// URL through http_proxy, with a token that it never had', {
  skip: needs('curl'),
}, async (t) => {
  const { parameters, aws } = await startParameters(t);
  parameters.put('/github', 'a-token-of-github');
  const { gateway, authority, upstream } = await startScene(t, {
    credential: SSM_HEADER,
    env: aws.env(),
  });
  const { stdout, code } = await run(
    'curl',
    ['-sS', '--proxy-header', 'X-Workload: sesame', `http://${authority}/user`],
    {
      env: { http_proxy: gateway.proxyUrl },
    },
  );
  assert.deepEqual([code, stdout], [0, 'ok']);
  assert.match(upstream.requests[0] ?? '', /^Authorization: token a-token-of-github\r$/m);
});

test('the record tells who used which version of which credential, and metrics count it', async (t) => {
  const { parameters, aws } = await startParameters(t);
  parameters.put('/github', 'the first token');
  parameters.put('/github', 'the second token');
  const { gateway, ask } = await startScene(t, { credential: SSM_HEADER, env: aws.env() });
  await ask('GET /');
  const outcome = await gateway.outcome();
  assert.deepEqual(outcome.credential, { name: 'c', version: '2' });
  assert.equal(outcome.principal, 'fn');
  await gateway.metric('sekisho_credential_uses_total{credential="c",principal="fn"}', 1);
  await gateway.metric('sekisho_secret_reads_total{source="ssm",outcome="read"}', 1);
});

test('without a parameter for the credential nothing is sent, and the 407 has a challenge', async (t) => {
  const { aws } = await startParameters(t);
  const { gateway, ask, upstream } = await startScene(t, {
    credential: SSM_HEADER,
    env: aws.env(),
  });
  const answer = await ask('GET /');
  assert.equal(statusOf(answer), 407);
  assert.match(answer, /^Proxy-Authenticate: Sekisho-Credential realm="sekisho"\r$/m);
  assert.match(answer, /credential-missing/);
  assert.deepEqual(upstream.requests, []);
  const { id } = await gateway.outcome();
  const decision = gateway.decisions(id).at(-1)?.decision;
  assert.deepEqual([decision?.stage, decision?.reason], ['grant', 'credential-missing']);
  assert.match(gateway.log(), /ParameterNotFound/);
});

test('a source that denies, throttles or fails is told in fixed words, and recovers by itself', async (t) => {
  const { parameters, aws } = await startParameters(t);
  parameters.put('/github', 'a-token-of-github');
  const { gateway, ask, upstream } = await startScene(t, {
    credential: SSM_HEADER,
    env: aws.env(),
  });
  for (const error of [accessDenied(ADMIN.arn, 'ssm:GetParameter', 'arn'), throttled()]) {
    aws.disturbances.fail('GetParameter', error);
    const answer = await ask('GET /');
    assert.equal(statusOf(answer), 502);
    assert.match(answer, /credential-unavailable/);
    assert.doesNotMatch(answer, /arn:aws|Rate exceeded|ssm/i);
    aws.disturbances.heal();
  }
  assert.deepEqual(upstream.requests, []);
  assert.match(gateway.log(), /Rate exceeded/);
  assert.equal(statusOf(await ask('GET /')), 200);
});

test('a 401 is passed on where the secret was just read', async (t) => {
  const { parameters, aws } = await startParameters(t);
  parameters.put('/github', 'a-token-of-github');
  const { ask, upstream } = await startScene(t, {
    credential: SSM_HEADER,
    env: aws.env(),
    answer: (_request, socket) =>
      socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'),
  });
  assert.equal(statusOf(await ask('GET /')), 401);
  assert.equal(upstream.requests.length, 1);
  assert.equal(aws.count('GetParameter'), 1);
});

test('a 401 for a secret that was replaced makes the gateway read it anew, and ask once more', async (t) => {
  const { parameters, aws } = await startParameters(t);
  parameters.put('/github', 'the-first-token');
  const { gateway, ask, upstream } = await startScene(t, {
    credential: SSM_HEADER,
    env: aws.env(),
    answer: (request, socket) => {
      const holds = request.includes(`token ${valid}\r`);
      const status = holds ? '200 OK' : '401 Unauthorized';
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
    },
  });
  let valid = 'the-first-token';
  assert.equal(statusOf(await ask('GET /')), 200);
  const { now } = performance;
  const replace = (token: string, laterMs: number) => {
    parameters.put('/github', token);
    valid = token;
    t.mock.method(performance, 'now', () => now.call(performance) + laterMs);
  };
  replace('the-second-token', 11_000);
  assert.equal(statusOf(await ask('GET /')), 200);
  assert.equal(upstream.requests.length, 3);
  // What has a body cannot be sent again; but the next one has the new secret.
  replace('the-third-token', 22_000);
  assert.equal(statusOf(await ask('POST /', [], 'body')), 401);
  assert.equal(statusOf(await ask('POST /', [], 'body')), 200);
  assert.equal(upstream.requests.length, 5);
  const { outcome, credential } = await gateway.outcome(
    (event) => event.credential?.version === '2',
  );
  assert.deepEqual([outcome.status, credential?.name], [200, 'c']);
});

test('what Parameter Store has for a host is put on its requests, however the client asks for port 80', {
  skip: needsPort80(),
}, async (t) => {
  const { parameters, aws } = await startParameters(t);
  const { host } = onPort80();
  parameters.put(`/production/${host}/headers/X-Key`, 'a key of the host');
  parameters.put(`/production/${host}/queries/key`, 'another one');
  const certificates = createCertificates(host);
  const upstream = await startSecureUpstream(certificates, (_request, socket) => socket.write(OK), {
    host,
    port: 443,
  });
  t.after(upstream.close);
  const gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: stored, allow: [fn], to: [${host}], addresses: [${host}], with: stored }]
credentials: { stored: { convention: parameter-store, prefix: /production, tls: { ca: { file: ca.pem } } } }
`,
    { env: aws.env(), files: { 'ca.pem': certificates.ca.toString() } },
  );
  t.after(() => gateway.stop());
  const get = (target: string) =>
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  for (const bytes of [get(`http://${host}/a?b=1`), get('/a?b=1')]) {
    assert.match(await new RawClient(gateway.port).send(bytes).all(), /ok$/);
  }
  const tunnel = new RawClient(gateway.port).send(
    `CONNECT ${host}:80 HTTP/1.1\r\nHost: ${host}:80\r\n\r\n`,
  );
  await tunnel.until(/^HTTP\/1\.1 200 /);
  assert.match(await tunnel.send(get('/a?b=1')).all(), /ok$/);
  for (const request of upstream.requests) {
    assert.match(request, /^GET \/a\?b=1&key=another\+one HTTP/);
    assert.match(request, new RegExp(`^Host: ${host}\r$`, 'm'));
    assert.match(request, /^X-Key: a key of the host\r$/m);
  }
  assert.equal(upstream.requests.length, 3);
  assert.equal(aws.count('GetParametersByPath'), 1);
});

test('through a parent proxy the credential is inside TLS, which the parent only passes on', async (t) => {
  const asked: string[] = [];
  let seen = '';
  const parent = createServer().on('connect', ({ url = '' }, client: Socket) => {
    asked.push(url);
    const [host = '', port = ''] = url.split(':');
    const upstream = connect(Number(port), host, () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    client.on('data', (chunk) => {
      seen += chunk.toString('latin1');
      upstream.write(chunk);
    });
    upstream.pipe(client);
    upstream.on('error', () => client.destroy());
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
  });
  parent.listen(0, '127.0.0.1');
  await once(parent, 'listening');
  t.after(() => parent.close());
  const { port } = parent.address() as AddressInfo;
  const { ask, upstream, gateway } = await startScene(t, {
    rule: ', via: corp',
    more: `exits: { corp: { parentProxy: { url: "http://127.0.0.1:${port}" } } }`,
  });
  assert.equal(statusOf(await ask('GET /')), 200);
  assert.deepEqual(asked, [`127.0.0.1:${upstream.port}`]);
  assert.match(upstream.requests[0] ?? '', new RegExp(`^Authorization: token ${TOKEN}\r$`, 'm'));
  assert.ok(seen.length > 0 && !seen.includes(TOKEN));
  assert.equal((await gateway.outcome()).exit, 'corp');
});

/** AWS over TLS at `SERVICE.localhost`, and a gateway that signs what goes there. */
async function startSigning(
  t: TestContext,
  service: string,
  aws: FakeAws,
  ca: Buffer,
): Promise<TestGateway> {
  const gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: aws, allow: [fn], to: [${service}.localhost], ports: [${aws.port}], addresses: [127.0.0.1], with: sign }
credentials:
  sign:
    for: ${service}.localhost
    tls: { ca: { file: ca.pem } }
    sigv4: { service: ${service === 'secrets' ? 'secretsmanager' : service}, region: ap-northeast-1, maxBody: 64KiB }
`,
    { env: aws.env(), files: { 'ca.pem': ca.toString() } },
  );
  t.after(() => gateway.stop());
  return gateway;
}

const NOBODY = { accessKeyId: 'AKIADUMMY', secretAccessKey: 'dummy' };

/** Of an SDK client that signs with a key that nobody knows, and goes through the gateway. */
function clientOptions(service: string, aws: FakeAws, gateway: TestGateway) {
  const httpAgent = new Agent({ proxyEnv: { http_proxy: gateway.proxyUrl } });
  return {
    endpoint: `http://${service}.localhost:${aws.port}`,
    region: 'us-east-1',
    credentials: NOBODY,
    maxAttempts: 1,
    requestHandler: { httpAgent },
  };
}

test('a client of a JSON service that signs with nobody’s key is signed anew', async (t) => {
  const parameters = new ParameterStore();
  const certificates = createCertificates('ssm.localhost');
  const aws = await startFakeAws([parameters.service], { certificates });
  t.after(aws.close);
  parameters.put('/one', 'a value');
  const gateway = await startSigning(t, 'ssm', aws, certificates.ca);
  const client = new SSMClient(clientOptions('ssm', aws, gateway));
  const { Parameter } = await client.send(
    new GetParameterCommand({ Name: '/one', WithDecryption: true }),
  );
  assert.equal(Parameter?.Value, 'a value');
  assert.equal(aws.calls[0]?.identity.arn, ADMIN.arn);
  assert.equal((await gateway.outcome()).credential?.version, ADMIN.accessKeyId);
  const tooLong = client.send(new GetParameterCommand({ Name: `/${'x'.repeat(70_000)}` }));
  const status = (error: { $metadata?: { httpStatusCode?: number } }) =>
    error.$metadata?.httpStatusCode === 400;
  await assert.rejects(tooLong, status);
  client.destroy();
});

test('a query service takes a form and a query that are signed here', {
  skip: needs('curl'),
}, async (t) => {
  const certificates = createCertificates('sts.localhost');
  const aws = await startFakeAws([new Sts().service], { certificates });
  t.after(aws.close);
  const gateway = await startSigning(t, 'sts', aws, certificates.ca);
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

test('objects go to S3 whole, hashed, and in chunks that are signed anew', async (t) => {
  const store = new ObjectStore();
  const certificates = createCertificates('s3.localhost');
  const aws = await startFakeAws([store.service], { certificates });
  t.after(aws.close);
  const gateway = await startSigning(t, 's3', aws, certificates.ca);
  const client = new S3Client({ ...clientOptions('s3', aws, gateway), forcePathStyle: true });
  const Body = Buffer.alloc(300_000, 'content ');
  const object = { Bucket: 'bucket', Key: 'a key/with + and ü' };
  await client.send(new PutObjectCommand({ ...object, Body }));
  const got = await client.send(new GetObjectCommand(object));
  assert.ok(Body.equals(Buffer.from((await got.Body?.transformToByteArray()) ?? [])));
  client.destroy();

  // As SDKs stream whose connections are not TLS: each chunk signed with the client's key.
  const signature = '0'.repeat(64);
  const chunk = (content: string) =>
    `${content.length.toString(16)};chunk-signature=${signature}\r\n${content}`;
  const content = ['a'.repeat(65_536), 'b'.repeat(65_536), 'c'.repeat(1_000)];
  const body = `${content.map((one) => `${chunk(one)}\r\n`).join('')}${chunk('')}\r\n`;
  const response = await fetchThrough(
    gateway,
    `http://s3.localhost:${aws.port}/bucket/streamed`,
    body,
    {
      'Content-Encoding': 'aws-chunked',
      'X-Amz-Content-Sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      'X-Amz-Decoded-Content-Length': String(content.join('').length),
    },
  );
  assert.equal(statusOf(response), 200, response);
  assert.equal(store.objects.get('/bucket/streamed')?.toString(), content.join(''));
  const cut = await fetchThrough(
    gateway,
    `http://s3.localhost:${aws.port}/bucket/cut`,
    'no chunks',
    {
      'X-Amz-Content-Sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    },
  );
  assert.equal(statusOf(cut), 400);
  assert.equal(store.objects.has('/bucket/cut'), false);
});

async function fetchThrough(
  gateway: TestGateway,
  url: string,
  body: string,
  headers: Record<string, string>,
): Promise<string> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const { host } = new URL(url);
  const head = `PUT ${url} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n${lines.join('')}\r\n`;
  return new RawClient(gateway.port).send(head + body).all();
}

test('what is stored for a host by the convention is found under its name', async (t) => {
  const { parameters, aws } = await startParameters(t);
  parameters.put('/production/elsewhere.example/headers/Authorization', 'token another');
  const { ask, upstream } = await startScene(t, {
    credential: '{ convention: parameter-store, prefix: /production, TLS }',
    env: aws.env(),
  });
  // AWS has no parameter with a colon in its name, so there is nothing for a port but 443.
  const answer = await ask('GET /');
  assert.equal(statusOf(answer), 407);
  assert.deepEqual(upstream.requests, []);
});
