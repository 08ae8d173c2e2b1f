import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Agent, startAgent } from '../support/agent.ts';
import { LostAnswer, throttled } from '../support/aws/aws-error.ts';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { Functions } from '../support/aws/lambda.ts';
import type { AwsIdentity } from '../support/aws/sigv4.ts';
import { RawClient, run } from '../support/clients.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { type DeployedFunction, deploySigning } from '../support/deployed-function.ts';
import { needs, PYTHON } from '../support/programs.ts';
import { ROOT } from '../support/sources.ts';

const forms = [
  TOKEN,
  Buffer.from(TOKEN).toString('base64').slice(0, -4),
  Buffer.from(TOKEN).toString('hex'),
];

function nowhereIn(...texts: readonly string[]): void {
  for (const form of forms) for (const text of texts) assert.ok(!text.includes(form), form);
}

async function ask({ port }: Agent, url: string, ...args: readonly string[]) {
  return run('curl', ['-sS', '-i', '-x', `http://127.0.0.1:${port}`, ...args, url]);
}

test('curl reaches an API through the agent and the bundled function, and holds no token', {
  skip: needs('curl', 'unzip'),
}, async (t) => {
  const deployed = await deploySigning(t, {
    answer: (request, socket) => {
      const [, sent = ''] = /^authorization: (.*)\r$/im.exec(request) ?? [];
      const right = sent === `token ${TOKEN}`;
      const body = JSON.stringify({ right, echo: sent });
      socket.write(
        `HTTP/1.1 ${right ? '200 OK' : '401 Unauthorized'}\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    },
  });
  const agent = await startAgent(t, deployed.lambda.env());
  const url = `http://${deployed.authority}/user?b=2&a=1`;
  const { stdout } = await ask(agent, url, '-H', 'Authorization: mine');
  assert.match(stdout, /^HTTP\/1\.1 200 OK/);
  assert.match(stdout, /"right":true/);
  assert.equal(stdout.match(/^set-cookie: /gim)?.length, 2);
  assert.match(deployed.upstream.requests[0] ?? '', /^GET \/user\?b=2&a=1 HTTP/);
  const environment = readFileSync(`/proc/${agent.pid}/environ`, 'utf8');
  nowhereIn(stdout, agent.log(), environment, deployed.logs.join(''));
  assert.equal(deployed.logs.join('').match(/"type":"outcome"/g)?.length, 1);
  assert.match(deployed.logs.join(''), /^REPORT RequestId: .*Init Duration/m);
});

test('the agent is called as its ancestor is, and takes requests with a path and Host', {
  skip: needs('curl', 'unzip'),
}, async (t) => {
  const deployed = await deploySigning(t);
  const args = ['-function-name=sign', '-addr=localhost:0'];
  const { port } = await startAgent(t, deployed.lambda.env(), args);
  const client = new RawClient(port);
  client.send(
    `POST /x HTTP/1.1\r\nHost: ${deployed.authority}\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\xff\x00a`,
  );
  assert.match(await client.all(), /^HTTP\/1\.1 200 OK[\s\S]*ok$/);
  assert.ok(deployed.upstream.requests[0]?.endsWith('\xff\x00a'));
});

async function statusThrough(agent: Agent, deployed: DeployedFunction, ...args: string[]) {
  const { stdout } = await ask(agent, `http://${deployed.authority}/`, ...args);
  return /^HTTP\/1\.1 (\d+)[\s\S]*?^sekisho-reason: (.*?)\r$/im.exec(stdout)?.slice(1).join(' ');
}

test('what fails on the way to the function and in it has a status and a reason of its own', {
  skip: needs('curl', 'unzip'),
}, async (t) => {
  const deployed = await deploySigning(t);
  const { functions, lambda } = deployed;
  const agent = await startAgent(t, lambda.env());
  const gives = (payload: string, failed = false) =>
    functions.add('sign', async () => ({
      payload: Buffer.from(payload),
      ...(failed && { functionError: 'Unhandled' as const }),
    }));
  gives('{"errorType":"TypeError","errorMessage":"secret detail"}', true);
  assert.equal(await statusThrough(agent, deployed), '502 function-failed');
  gives(
    '{"errorType":"Sandbox.Timedout","errorMessage":"Task timed out after 3.00 seconds"}',
    true,
  );
  assert.equal(await statusThrough(agent, deployed), '504 function-slow');
  gives('"no response"');
  assert.equal(await statusThrough(agent, deployed), '502 function-failed');
  gives('{"statusCode":200,"headers":{"A":"b\\r\\nC: d"}}');
  assert.equal(await statusThrough(agent, deployed), '502 function-failed');
  functions.add('sign', async () => undefined);
  assert.equal(await statusThrough(agent, deployed), '429 call-throttled');
  assert.equal(lambda.count('Invoke'), 5);
  assert.doesNotMatch(agent.log(), /secret detail/);
});

test('a body that no event holds is refused before the function is called', {
  skip: needs('curl', 'unzip'),
}, async (t) => {
  const deployed = await deploySigning(t);
  const agent = await startAgent(t, deployed.lambda.env());
  const body = join(deployed.folder, 'body');
  for (const bytes of [5_000_000, 7_000_000]) {
    writeFileSync(body, Buffer.alloc(bytes, 0xff));
    const status = await statusThrough(agent, deployed, '-HExpect:', '--data-binary', `@${body}`);
    assert.equal(status, '413 request-too-large');
  }
  assert.equal(deployed.lambda.count('Invoke'), 0);
});

test('who may not invoke the function may not use the API', {
  skip: needs('curl', 'unzip'),
}, async (t) => {
  const deployed = await deploySigning(t);
  const stranger: AwsIdentity = {
    accessKeyId: 'AKIASTRANGER',
    secretAccessKey: 'of a stranger',
    arn: 'arn:aws:iam::123456789012:user/stranger',
    allows: (action) => action !== 'lambda:InvokeFunction',
  };
  deployed.lambda.know(stranger);
  const agent = await startAgent(t, deployed.lambda.env(stranger));
  assert.equal(await statusThrough(agent, deployed), '502 call-denied');
  const unknown = await startAgent(t, { ...deployed.lambda.env(), AWS_SECRET_ACCESS_KEY: 'wrong' });
  assert.equal(await statusThrough(unknown, deployed), '502 call-denied');
  assert.equal(deployed.upstream.requests.length, 0);
});

test('CONNECT is told what to do instead, and a Host that is not the target is refused', async (t) => {
  const agent = await startAgent(t, {});
  const tunnel = new RawClient(agent.port);
  tunnel.send('CONNECT api.github.com:443 HTTP/1.1\r\nHost: api.github.com:443\r\n\r\n');
  assert.match(await tunnel.all(), /^HTTP\/1\.1 405 [\s\S]*http:\/\/ URL/);
  const two = new RawClient(agent.port);
  two.send('GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n');
  assert.match(await two.all(), /^HTTP\/1\.1 400 [\s\S]*request-invalid/);
});

test('the agent listens for this host alone', async () => {
  for (const bind of ['0.0.0.0:8000', '10.0.0.1:80', '[::]:80', 'example.com:80']) {
    const { code, stderr } = await run(process.execPath, [
      join(ROOT, 'bin/sekisho.js'),
      ...['agent', '--function', 'sign', '--bind', bind],
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /Only addresses of this host/);
  }
});

/** A function in this process that says again what it was sent, behind Lambda. */
async function startEcho(t: TestContext) {
  const functions = new Functions();
  functions.add('sign', async (payload) => {
    const { body, isBase64Encoded, httpMethod } = JSON.parse(payload.toString());
    const headers = { 'content-type': 'application/octet-stream', 'x-method': httpMethod };
    const answer = { statusCode: 200, headers, body, isBase64Encoded };
    return { payload: Buffer.from(JSON.stringify(answer)) };
  });
  const lambda = await startFakeAws([functions.service]);
  t.after(lambda.close);
  return lambda;
}

const GET = 'GET http://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n';
const at = (...more: readonly string[]) => [
  ...['--function', 'sign', '--bind', '127.0.0.1:0'],
  ...more,
];

const REQUESTS = `
import sys, requests
sent = bytes(range(256)) * 100
response = requests.post('http://api.example/upload', data=sent, proxies={'http': sys.argv[1]})
print(response.status_code, response.content == sent)
`;

test('Python requests sends and gets bytes that are no text', {
  skip: needs('python3-requests'),
}, async (t) => {
  const { port } = await startAgent(t, (await startEcho(t)).env());
  const { stdout, stderr } = await run(PYTHON, ['-c', REQUESTS, `http://127.0.0.1:${port}`]);
  assert.deepEqual([stderr, stdout], ['', '200 True\n']);
});

test('more requests at a time than may be are told to come again', async (t) => {
  const lambda = await startEcho(t);
  const agent = await startAgent(t, lambda.env(), at('--concurrency', '1'));
  const arrived = lambda.disturbances.hold('Invoke');
  const first = new RawClient(agent.port).send(GET);
  await arrived;
  const second = await new RawClient(agent.port).send(GET).all();
  assert.match(second, /^HTTP\/1\.1 429 [\s\S]*retry-after: 1\r[\s\S]*call-throttled/i);
  lambda.disturbances.release();
  await first.until(/^HTTP\/1\.1 200 /);
  const third = new RawClient(agent.port).send(GET);
  await third.until(/^HTTP\/1\.1 200 /);
  assert.equal(lambda.count('Invoke'), 2);
});

test('what is under way when the agent is told to end has its answer, and nothing new begins', async (t) => {
  const lambda = await startEcho(t);
  const agent = await startAgent(t, lambda.env());
  const arrived = lambda.disturbances.hold('Invoke');
  const kept = new RawClient(agent.port).send(GET);
  await arrived;
  const exited = agent.stop();
  await refused(agent.port);
  lambda.disturbances.release();
  assert.match(await kept.all(), /^HTTP\/1\.1 200 [\s\S]*^connection: close\r$/im);
  assert.equal(await exited, 0);
});

/** Until nobody listens there. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const error = await Promise.race([
      once(socket, 'connect').then(() => undefined),
      once(socket, 'error').then(([cause]) => cause as NodeJS.ErrnoException),
    ]).catch((cause: NodeJS.ErrnoException) => cause);
    socket.destroy();
    if (error?.code === 'ECONNREFUSED') return;
  }
}

test('an answer that does not come in time is a 504', async (t) => {
  const lambda = await startEcho(t);
  const agent = await startAgent(t, lambda.env(), at('--timeout', '0.2'));
  lambda.disturbances.hold('Invoke');
  const answer = await new RawClient(agent.port).send(GET).all();
  assert.match(answer, /^HTTP\/1\.1 504 [\s\S]*function-slow/);
});

test('what may be sent twice is, where the connection was cut; nothing else, whatever the SDK is told', async (t) => {
  const lambda = await startEcho(t);
  const agent = await startAgent(t, { ...lambda.env(), AWS_MAX_ATTEMPTS: '5' });
  lambda.disturbances.fail('Invoke', new LostAnswer(), (number) => number === 1 || number === 3);
  await new RawClient(agent.port).send(GET).until(/^HTTP\/1\.1 200 /);
  assert.equal(lambda.count('Invoke'), 2);
  const post = await new RawClient(agent.port).send(GET.replace('GET', 'POST')).all();
  assert.match(post, /^HTTP\/1\.1 502 [\s\S]*call-failed/);
  assert.equal(lambda.count('Invoke'), 3);
  lambda.disturbances.heal();
  lambda.disturbances.fail('Invoke', throttled());
  const throttledAnswer = await new RawClient(agent.port).send(GET).all();
  assert.match(throttledAnswer, /^HTTP\/1\.1 429 /);
  assert.equal(lambda.count('Invoke'), 4);
});
