import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createEventServer } from '../../src/client/event-server.ts';
import { FORMATS } from '../../src/wire/lambda-events/formats.ts';
import { startAgent } from '../support/agent.ts';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { Functions } from '../support/aws/lambda.ts';
import { RawClient, run } from '../support/clients.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { needs } from '../support/programs.ts';
import { startServer } from '../support/servers.ts';
import { eventOf, startSigning } from '../support/signing-function.ts';
import { steadyPort } from '../support/steady-port.ts';

/** The two questions of docs/lambda.md, tried: a balancer in place of the daemon, and a function of one's own. */

/** HAProxy, and behind it what makes events of a target group and gives them to the signing function. */
async function startBalanced(t: TestContext) {
  const scene = await startSigning(t);
  const format = FORMATS['alb-multi-value'];
  const target = createEventServer({
    region: 'ap-northeast-1',
    account: '123456789012',
    atOnce: 10,
    send: async (request, place) =>
      format.readAnswer(await scene.handle(format.writeRequest(request, place))),
    failed: ({ message }) => t.diagnostic(message),
  }).listen(0, '127.0.0.1');
  await once(target, 'listening');
  t.after(() => target.close());
  const folder = mkdtempSync(join(tmpdir(), 'sekisho-alb-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [port, config] = [await steadyPort(), join(folder, 'haproxy.cfg')];
  writeFileSync(
    config,
    `
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen balancer
  bind 127.0.0.1:${port}
  server target 127.0.0.1:${(target.address() as AddressInfo).port}
`,
  );
  const balancer = await startServer('haproxy', ['-db', '-f', config], [port]);
  t.after(balancer.stop);
  return { ...scene, port };
}

test('a balancer as the proxy of curl: the absolute form reaches the function, CONNECT does not', {
  skip: needs('curl', 'haproxy'),
}, async (t) => {
  const { port, authority, upstream } = await startBalanced(t);
  const ask = (url: string) => run('curl', ['-sS', '-x', `http://127.0.0.1:${port}`, url]);
  const plain = await ask(`http://${authority}/user?q=1&q=2`);
  assert.deepEqual([plain.stdout, plain.stderr], ['ok', '']);
  assert.match(upstream.requests[0] ?? '', /^GET \/user\?q=1&q=2 HTTP/);
  assert.match(upstream.requests[0] ?? '', new RegExp(`^authorization: token ${TOKEN}\\r$`, 'im'));
  const tunnel = await ask(`https://${authority}/user`);
  assert.match(tunnel.stderr, /CONNECT tunnel failed, response 405/);
  assert.equal(upstream.requests.length, 1);
});

test('a whole URL as the path of an event is taken where it is of the same host', async (t) => {
  const { handle, authority, upstream } = await startSigning(t);
  const event = eventOf('alb-multi-value', { headers: [['Host', authority]] }) as object;
  for (const [host, status] of [
    [authority, 200],
    ['evil.example', 400],
  ] as const) {
    const answer = await handle({ ...event, path: `http://${host}/user` });
    assert.equal((answer as { statusCode: number }).statusCode, status);
  }
  assert.equal(upstream.requests.length, 1);
});

test('a function of one’s own behind the agent is told the whole request, and answers in a line', async (t) => {
  const functions = new Functions();
  const events: Record<string, unknown>[] = [];
  functions.add('orders', async (payload) => {
    events.push(JSON.parse(payload.toString()));
    return {
      payload: Buffer.from(
        '{"statusCode":201,"headers":{"content-type":"text/plain"},"body":"mine"}',
      ),
    };
  });
  const lambda = await startFakeAws([functions.service]);
  t.after(lambda.close);
  const agent = await startAgent(t, lambda.env(), ['--function', 'orders', '--bind', ':0']);
  const answer = await new RawClient(agent.port)
    .send(
      'POST http://orders.example/a%2Fb?x=1&x=%20&y HTTP/1.1\r\nHost: orders.example\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi',
    )
    .all();
  assert.match(answer, /^HTTP\/1\.1 201 [\s\S]*\r\n\r\nmine$/);
  const { httpMethod, path, rawQueryString, body, multiValueHeaders } = events[0] ?? {};
  assert.deepEqual(
    [httpMethod, path, rawQueryString, body],
    ['POST', '/a%2Fb', 'x=1&x=%20&y', 'hi'],
  );
  assert.deepEqual((multiValueHeaders as Record<string, unknown>)['X-A'], ['1', '2']);
});
