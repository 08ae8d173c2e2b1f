import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { request as githubRequest } from '@octokit/request';
import { Agent, request, fetch as undiciFetch } from 'undici';
import { functionTransport } from '../../src/client/index.ts';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { Functions } from '../support/aws/lambda.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { startSigning } from '../support/signing-function.ts';

/** A signing function in this process behind a Lambda, and a transport by it. */
async function transportScene(
  t: Parameters<typeof startSigning>[0],
  { body = 'ok', timeoutMs = 30_000 } = {},
) {
  const scene = await startSigning(t, {
    answer: (request, socket) => {
      const right = request.includes(`token ${TOKEN}`);
      socket.write(
        `HTTP/1.1 ${right ? 200 : 401} X\r\nX-Path: ${request.split(' ')[1]}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    },
  });
  const functions = new Functions();
  functions.add('sign', async (payload) => {
    const answer = await scene.handle(JSON.parse(payload.toString()));
    return { payload: Buffer.from(JSON.stringify(answer)) };
  });
  const lambda = await startFakeAws([functions.service]);
  t.after(lambda.close);
  const failures: string[] = [];
  const transport = functionTransport({
    functionName: 'sign',
    env: lambda.env(),
    timeoutMs,
    failed: ({ code }) => failures.push(code),
  });
  t.after(() => transport.close());
  const dispatcher = new Agent({ connect: transport.connector as never });
  t.after(() => dispatcher.close());
  return { ...scene, transport, dispatcher, functions, failures, lambda };
}

for (const scheme of ['http', 'https']) {
  test(`undici and its fetch reach ${scheme}: URLs by the function`, async (t) => {
    const { dispatcher, authority, upstream } = await transportScene(t);
    const url = `${scheme}://${authority}/a%20b?x=1`;
    const answer = await request(url, { dispatcher, method: 'POST', body: 'text' });
    assert.deepEqual([answer.statusCode, await answer.body.text()], [200, 'ok']);
    assert.equal(answer.headers['x-path'], '/a%20b?x=1');
    assert.ok(upstream.requests[0]?.endsWith('text'));
    const fetched = await undiciFetch(url, { dispatcher });
    assert.deepEqual([fetched.status, await fetched.text()], [200, 'ok']);
  });
}

test('what Node itself has as fetch takes the dispatcher, too', async (t) => {
  const { dispatcher, authority } = await transportScene(t);
  const answer = await fetch(`https://${authority}/`, { dispatcher: dispatcher as never });
  assert.deepEqual([answer.status, await answer.text()], [200, 'ok']);
});

test('http.request and https.request take its agents', async (t) => {
  const { transport, authority } = await transportScene(t);
  const { httpAgent, httpsAgent } = transport;
  for (const sent of [
    httpGet(`http://${authority}/`, { agent: httpAgent }),
    httpsGet(`https://${authority}/`, { agent: httpsAgent }),
  ]) {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    assert.deepEqual([response.statusCode, await text(response)], [200, 'ok']);
  }
});

test('many requests at a time each get their own answer', async (t) => {
  const { dispatcher, authority } = await transportScene(t);
  const paths = Array.from({ length: 20 }, (_, i) => `/${i}`);
  const answers = await Promise.all(
    paths.map(async (path) => {
      const { headers, body } = await request(`http://${authority}${path}`, { dispatcher });
      await body.dump();
      return headers['x-path'];
    }),
  );
  assert.deepEqual(answers, paths);
});

test('what echoes the token comes back masked, so that the program never holds it', async (t) => {
  const { dispatcher, authority } = await transportScene(t, {
    body: JSON.stringify({ token: TOKEN }),
  });
  const { body } = await request(`http://${authority}/`, { dispatcher });
  assert.match(await body.text(), /^\{"token":"\*+"\}$/);
});

test('a function that fails is an answer with a reason, and is told', async (t) => {
  const { dispatcher, authority, functions, failures } = await transportScene(t);
  functions.add('sign', async () => ({
    payload: Buffer.from('{"errorType":"E"}'),
    functionError: 'Unhandled',
  }));
  const { statusCode, headers, body } = await request(`http://${authority}/`, { dispatcher });
  await body.dump();
  assert.deepEqual([statusCode, headers['sekisho-reason']], [502, 'function-failed']);
  assert.deepEqual(failures, ['function-failed']);
});

test('an SDK that takes a fetch reaches its API by the function: Octokit', async (t) => {
  const { dispatcher, authority, upstream, functions } = await transportScene(t, {
    body: '{"login":"octocat"}',
  });
  const octokit = githubRequest.defaults({
    baseUrl: `https://${authority}`,
    request: {
      fetch: (url: string, options: RequestInit) =>
        undiciFetch(url, { ...(options as object), dispatcher }),
    },
  });
  const { status, data } = await octokit('GET /user');
  assert.deepEqual([status, data], [200, '{"login":"octocat"}']);
  await octokit('POST /repos/{owner}/{repo}/issues', { owner: 'a', repo: 'b', title: 'grüße' });
  assert.match(upstream.requests[1] ?? '', /^POST \/repos\/a\/b\/issues HTTP/);
  assert.equal(
    Buffer.from(upstream.requests[1] ?? '', 'latin1')
      .toString()
      .split('\r\n\r\n')[1],
    '{"title":"grüße"}',
  );
  functions.add('sign', async () => undefined);
  await assert.rejects(octokit('GET /user'), { status: 429 });
});

test('a body that is streamed arrives whole, and what is too large is told before the function is called', async (t) => {
  const { dispatcher, authority, upstream, lambda, failures } = await transportScene(t);
  const post = (chunk: Buffer, count: number) =>
    request(`https://${authority}/`, {
      dispatcher,
      method: 'POST',
      body: Readable.from(Array.from({ length: count }, () => chunk)),
    });
  const small = await post(Buffer.from([0xff, 0x00, 0x61]), 1000);
  await small.body.dump();
  assert.equal(small.statusCode, 200);
  assert.ok(upstream.requests[0]?.endsWith('\xff\x00a'.repeat(1000)));
  const large = await post(Buffer.alloc(1_000_000), 8).catch((error: Error) => error);
  // Who still sends may find the connection closed before it reads the answer.
  if (!(large instanceof Error)) assert.equal(large.statusCode, 413);
  assert.deepEqual(failures, ['request-too-large']);
  assert.equal(lambda.count('Invoke'), 1);
});

test('a request that is aborted rejects at once, and others go on', async (t) => {
  const { dispatcher, authority, lambda, failures } = await transportScene(t);
  const arrived = lambda.disturbances.hold('Invoke');
  const abort = new AbortController();
  const aborted = undiciFetch(`https://${authority}/`, { dispatcher, signal: abort.signal });
  await arrived;
  abort.abort();
  await assert.rejects(aborted, { name: 'AbortError' });
  lambda.disturbances.release();
  const { statusCode, body } = await request(`https://${authority}/`, { dispatcher });
  assert.deepEqual([statusCode, await body.text()], [200, 'ok']);
  assert.deepEqual(failures, []);
});

test('what takes longer than it may is a 504', async (t) => {
  const { dispatcher, authority, lambda, failures } = await transportScene(t, { timeoutMs: 100 });
  lambda.disturbances.hold('Invoke');
  const { statusCode, body } = await request(`https://${authority}/`, { dispatcher });
  await body.dump();
  assert.deepEqual([statusCode, failures], [504, ['function-slow']]);
});
