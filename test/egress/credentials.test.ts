import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { accessDenied, throttled } from '../support/aws/aws-error.ts';
import { ADMIN, startFakeAws } from '../support/aws/fake-aws.ts';
import { ParameterStore } from '../support/aws/ssm.ts';
import { createCertificates } from '../support/certificates.ts';
import { RawClient, run, statusOf } from '../support/clients.ts';
import { OK, startScene, startSecureUpstream, TOKEN } from '../support/credential-gateway.ts';
import { startTestGateway } from '../support/gateway.ts';
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
