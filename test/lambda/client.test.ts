import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Agent, request, fetch as undiciFetch } from 'undici';
import { functionTransport } from '../../src/client/index.ts';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { Functions } from '../support/aws/lambda.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { startSigning } from '../support/signing-function.ts';

/** A signing function in this process behind a Lambda, and a transport by it. */
async function transportScene(t: Parameters<typeof startSigning>[0], body = 'ok') {
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
    failed: ({ code }) => failures.push(code),
  });
  t.after(() => transport.close());
  return { ...scene, transport, functions, failures };
}

for (const scheme of ['http', 'https']) {
  test(`undici and its fetch reach ${scheme}: URLs by the function`, async (t) => {
    const { transport, authority, upstream } = await transportScene(t);
    const dispatcher = new Agent({ connect: transport.connector as never });
    t.after(() => dispatcher.close());
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
  const { transport, authority } = await transportScene(t);
  const dispatcher = new Agent({ connect: transport.connector as never });
  t.after(() => dispatcher.close());
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
  const { transport, authority } = await transportScene(t);
  const dispatcher = new Agent({ connect: transport.connector as never });
  t.after(() => dispatcher.close());
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
  const { transport, authority } = await transportScene(t, JSON.stringify({ token: TOKEN }));
  const dispatcher = new Agent({ connect: transport.connector as never });
  t.after(() => dispatcher.close());
  const { body } = await request(`http://${authority}/`, { dispatcher });
  assert.match(await body.text(), /^\{"token":"\*+"\}$/);
});

test('a function that fails is an answer with a reason, and is told', async (t) => {
  const { transport, authority, functions, failures } = await transportScene(t);
  functions.add('sign', async () => ({
    payload: Buffer.from('{"errorType":"E"}'),
    functionError: 'Unhandled',
  }));
  const dispatcher = new Agent({ connect: transport.connector as never });
  t.after(() => dispatcher.close());
  const { statusCode, headers, body } = await request(`http://${authority}/`, { dispatcher });
  await body.dump();
  assert.deepEqual([statusCode, headers['sekisho-reason']], [502, 'function-failed']);
  assert.deepEqual(failures, ['function-failed']);
});
