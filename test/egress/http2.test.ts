import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { ParameterStore } from '../support/aws/ssm.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { askHttp2, type Http2Upstream, startHttp2Upstream } from '../support/http2.ts';
import { type InterceptSetting, startIntercepting } from '../support/intercept-gateway.ts';

type Answer = Parameters<typeof startHttp2Upstream>[1];

/** A gateway that opens TLS, and a destination that speaks HTTP/2 alone. */
async function startScene(
  t: TestContext,
  answer: Answer,
  setting: InterceptSetting = {},
  settings: Parameters<typeof startHttp2Upstream>[2] = {},
) {
  const started = Promise.withResolvers<Http2Upstream>();
  const scene = await startIntercepting(t, {
    ...setting,
    async serve(certificates) {
      const upstream = await startHttp2Upstream(certificates, answer, settings);
      started.resolve(upstream);
      return upstream;
    },
  });
  return { ...scene, destination: await started.promise };
}

const hello: Answer = (stream) => {
  stream.respond({ ':status': 200, 'x-answer': '1' });
  stream.end('hello');
};

async function textOf(stream: ServerHttp2Stream): Promise<string> {
  let text = '';
  for await (const piece of stream) text += piece;
  return text;
}

test('a request in HTTP/2 is decided on, sent on in HTTP/2, and recorded by itself', async (t) => {
  const { session, authority, gateway, destination } = await startScene(t, hello, {
    rule: ', methods: [GET], paths: [/repos/**]',
  });
  const client = await session();
  const answer = await askHttp2(client, {
    ':path': '/repos/x?y=1',
    'x-own': 'é',
    cookie: 'a=1; b=2',
  });
  assert.deepEqual([answer.status, answer.body], [200, 'hello']);
  assert.match(answer.headers.via ?? '', /^2\.0 sekisho-/);
  const [request = ''] = destination.requests;
  assert.match(
    request,
    new RegExp(
      `^:method: GET\r\n:scheme: https\r\n:authority: ${authority}\r\n:path: /repos/x\\?y=1\r\n`,
    ),
  );
  assert.match(request, /^x-own: é\r$/m);
  assert.match(request, /^cookie: a=1; b=2\r$/m);
  assert.match(request, /^via: 2\.0 sekisho-/m);
  assert.doesNotMatch(request, /^(?:host|connection|transfer-encoding|x-workload): /m);
  const refused = await askHttp2(client, { ':path': '/user' });
  assert.deepEqual([refused.status, refused.headers['sekisho-reason']], [403, 'no-matching-rule']);
  const inner = await gateway.outcome(({ path }) => path === '/repos/x');
  assert.deepEqual([inner.protocol, inner.destination, inner.principal], ['h2', authority, 'fn']);
  client.close();
  const outer = await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.deepEqual(
    [outer.protocol, outer.intercepted, outer.outcome.error],
    [undefined, true, null],
  );
});

test('bodies, interim responses and trailers pass both ways', async (t) => {
  let told: object = {};
  const { session } = await startScene(t, (stream, headers) => {
    stream.additionalHeaders({ ':status': 103, link: '</x>' });
    stream.on('trailers', (fields) => {
      told = { ...fields };
    });
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': '0', 'sekisho-reason': 'x' }),
    );
    textOf(stream).then(
      (text) => stream.end(`${headers.te}:${text}`),
      () => {},
    );
  });
  const client = await session();
  const stream = client.request(
    { ':method': 'POST', ':path': '/', te: 'trailers' },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
  const interim = once(stream, 'headers');
  const trailers = once(stream, 'trailers');
  stream.end('body');
  assert.equal((await interim)[0][':status'], 103);
  let text = '';
  for await (const piece of stream) text += piece;
  assert.equal(text, 'trailers:body');
  assert.deepEqual(Object.entries((await trailers)[0]), [['grpc-status', '0']]);
  assert.deepEqual(Object.entries(told), [['x-sum', '7']]);
});

test('a head that is all of an answer goes on as such', async (t) => {
  const { session } = await startScene(t, (stream) =>
    stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true }),
  );
  const stream = (await session()).request({ ':method': 'POST', ':path': '/' });
  stream.end('body');
  const [head, flags] = await once(stream, 'response');
  assert.equal(head['grpc-status'], '5');
  assert.equal(flags & constants.NGHTTP2_FLAG_END_STREAM, 1);
});

test('many requests at a time share one connection on either side', async (t) => {
  const waiting: ServerHttp2Stream[] = [];
  const all = Promise.withResolvers<void>();
  const { session, destination, gateway } = await startScene(t, (stream) => {
    if (waiting.push(stream) === 20) all.resolve();
  });
  const client = await session();
  const answers = Array.from({ length: 20 }, (_, i) => askHttp2(client, { ':path': `/${i}` }));
  await all.promise;
  await gateway.metric('sekisho_pool_streams', 20);
  await gateway.metric('sekisho_pool_connections{protocol="h2"}', 1);
  for (const each of waiting) hello(each, {});
  for (const { body } of await Promise.all(answers)) assert.equal(body, 'hello');
  assert.equal(destination.sessions.length, 1);
  await gateway.metric('sekisho_requests_total{listener="egress",protocol="h2"}', 20);
});

test('a destination is asked for no more at a time than it takes on one connection', async (t) => {
  const waiting: ServerHttp2Stream[] = [];
  const answer: Answer = (stream) => {
    waiting.push(stream);
    if (waiting.length === 5) for (const each of waiting) hello(each, {});
  };
  const { session, destination } = await startScene(t, answer, {}, { maxConcurrentStreams: 2 });
  const client = await session();
  const answers = Array.from({ length: 5 }, (_, i) => askHttp2(client, { ':path': `/${i}` }));
  for (const { body } of await Promise.all(answers)) assert.equal(body, 'hello');
  assert.ok(destination.sessions.length >= 3, String(destination.sessions.length));
});

test('what a destination refuses unseen is asked once more, whatever the method', async (t) => {
  const asked: string[] = [];
  const { session, destination } = await startScene(t, (stream, headers) => {
    asked.push(`${headers[':method']} ${headers[':path']}`);
    if (asked.length === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else hello(stream, headers);
  });
  const answer = await askHttp2(await session(), { ':method': 'DELETE', ':path': '/x' });
  assert.deepEqual([answer.status, asked], [200, ['DELETE /x', 'DELETE /x']]);
  assert.equal(destination.sessions.length, 2);
});

test('what a destination may have begun is not asked again, and no other exchange suffers', async (t) => {
  const waiting = new Map<string | undefined, ServerHttp2Stream>();
  const both = Promise.withResolvers<void>();
  const { session, gateway, destination } = await startScene(t, (stream, headers) => {
    if (waiting.set(headers[':path'], stream).size === 2) both.resolve();
  });
  const client = await session();
  const post = (path: string) => askHttp2(client, { ':method': 'POST', ':path': path });
  const [broken, whole] = [post('/broken'), post('/whole')];
  await both.promise;
  waiting.get('/broken')?.close(constants.NGHTTP2_INTERNAL_ERROR);
  const { status, headers } = await broken;
  assert.deepEqual([status, headers['sekisho-reason']], [502, 'upstream-reset']);
  hello(waiting.get('/whole') as ServerHttp2Stream, {});
  assert.equal((await whole).body, 'hello');
  assert.deepEqual([destination.requests.length, destination.sessions.length], [2, 1]);
  const { outcome } = await gateway.outcome(({ path }) => path === '/broken');
  assert.equal(outcome.error, 'upstream-reset');
});

test('behind a GOAWAY the next request goes elsewhere, and those under way end in order', async (t) => {
  const waiting = Promise.withResolvers<ServerHttp2Stream>();
  const { session, destination } = await startScene(t, (stream, headers) => {
    if (headers[':path'] === '/slow') waiting.resolve(stream);
    else hello(stream, headers);
  });
  const client = await session();
  const slow = askHttp2(client, { ':path': '/slow' });
  const stream = await waiting.promise;
  stream.session?.close();
  while (destination.sessions.length < 2) await askHttp2(client, { ':path': '/next' });
  hello(stream, {});
  assert.equal((await slow).body, 'hello');
});

test('sessions share a connection to the destination, which a client of HTTP/1.1 is never offered', async (t) => {
  const { session, destination, authority, ask } = await startScene(t, hello);
  await askHttp2(await session(), { ':path': '/' });
  await askHttp2(await session(), { ':path': '/' });
  assert.equal(destination.sessions.length, 1);
  const answer = await ask(`GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 502 [\s\S]*Sekisho-Reason: tls-failed/);
  assert.equal(destination.sessions.length, 1);
});

test('a client that leaves resets its stream at the destination, and the connection goes on', async (t) => {
  const waiting = Promise.withResolvers<ServerHttp2Stream>();
  const { session, destination, gateway } = await startScene(t, (stream, headers) => {
    if (headers[':path'] === '/slow') waiting.resolve(stream);
    else hello(stream, headers);
  });
  const client = await session();
  const slow = client.request({ ':path': '/slow' });
  slow.on('error', () => {});
  const stream = await waiting.promise;
  const closed = once(stream, 'close');
  slow.close(constants.NGHTTP2_CANCEL);
  await closed;
  assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
  const { outcome } = await gateway.outcome(({ path }) => path === '/slow');
  assert.equal(outcome.error, 'client-reset');
  assert.equal((await askHttp2(client, { ':path': '/' })).body, 'hello');
  assert.ok(destination.sessions.length <= 2);
});

test('a credential is put on, and masked in head, body and trailers', async (t) => {
  const { session, destination, gateway } = await startScene(
    t,
    (stream) => {
      stream.additionalHeaders({ ':status': 103, link: `<${TOKEN}>` });
      stream.respond({ ':status': 200, 'x-echo': TOKEN }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-last': TOKEN }));
      stream.end(`<${TOKEN}>`);
    },
    {
      rule: ', with: c',
      more: 'credentials: { c: { for: api.localhost, header: { Authorization: ["token ", { env: TOKEN }] }, tls: { ca: { file: ca.pem } } } }',
    },
  );
  const answer = await askHttp2(await session(), {
    ':path': '/',
    te: 'trailers',
    authorization: 'of the client',
  });
  const masked = '*'.repeat(TOKEN.length);
  assert.deepEqual(
    [answer.headers['x-echo'], answer.body, answer.trailers['x-last'], answer.interim],
    [masked, `<${masked}>`, masked, [103]],
  );
  assert.match(destination.requests[0] ?? '', new RegExp(`^authorization: token ${TOKEN}\r$`, 'm'));
  const artefacts = [gateway.log(), await gateway.recorded(), JSON.stringify(answer)].join('\n');
  assert.doesNotMatch(artefacts, new RegExp(TOKEN));
});

test('a client of HTTP/2 ends with the gateway, behind the answer that it waits for', async (t) => {
  const waiting = Promise.withResolvers<ServerHttp2Stream>();
  const { session, gateway } = await startScene(t, (stream) => waiting.resolve(stream));
  const client = await session();
  const slow = askHttp2(client, { ':path': '/slow' });
  const stream = await waiting.promise;
  const closed = once(client, 'close');
  const told = once(client, 'goaway');
  const stopped = gateway.gateway.stop({ notice: false });
  assert.equal((await told)[0], constants.NGHTTP2_NO_ERROR);
  hello(stream, {});
  assert.equal((await slow).body, 'hello');
  await Promise.all([closed, stopped]);
});

test('large bodies pass both ways at the pace of whoever reads', async (t) => {
  const size = 8 * 1024 ** 2;
  const { session } = await startScene(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const answer = await askHttp2(
    await session(),
    { ':method': 'POST', ':path': '/' },
    Buffer.alloc(size, 'x'),
  );
  assert.equal(answer.body.length, size);
});

test('a 401 for a secret that was replaced is asked once more on the same connection', async (t) => {
  const parameters = new ParameterStore();
  parameters.put('/api', 'the-first-token');
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  let valid = 'the-first-token';
  const { session, destination } = await startScene(
    t,
    (stream, { authorization }) => {
      const holds = authorization === `token ${valid}`;
      stream.respond({ ':status': holds ? 200 : 401 });
      stream.end(holds ? 'hello' : 'who are you?');
    },
    {
      rule: ', with: c',
      more: 'credentials: { c: { for: api.localhost, header: { Authorization: ["token ", { ssm: /api }] }, tls: { ca: { file: ca.pem } } } }',
      env: aws.env(),
    },
  );
  const client = await session();
  assert.equal((await askHttp2(client, { ':path': '/' })).body, 'hello');
  const { now } = performance;
  t.mock.method(performance, 'now', () => now.call(performance) + 11_000);
  valid = 'the-second-token';
  parameters.put('/api', valid);
  assert.equal((await askHttp2(client, { ':path': '/' })).body, 'hello');
  assert.deepEqual([destination.requests.length, destination.sessions.length], [3, 1]);
});

test('no connection to a destination is shared by two principals, or by two credentials', async (t) => {
  const credential = (name: string) =>
    `${name}: { for: api.localhost, header: { X-Key: { env: ${name} } }, tls: { ca: { file: ca.pem } } }`;
  const rule = (name: string, who: string, more: string) =>
    `{ name: ${name}, allow: [${who}], to: [api.localhost], ports: [PORT], addresses: [127.0.0.1], intercept: true, ${more} }`;
  const sessionOf = new Map<string | undefined, unknown>();
  const { session } = await startScene(
    t,
    (stream, headers) => {
      sessionOf.set(headers[':path'], stream.session);
      hello(stream, headers);
    },
    {
      principals: 'other: { identify: [{ header: { name: X-Workload, value: { env: OTHER } } }] }',
      rule: ', paths: [/none, /none/again]',
      rules: [
        rule('a', 'fn', 'paths: [/a], with: A'),
        rule('b', 'fn', 'paths: [/b], with: B'),
        rule('other', 'other', 'with: A'),
      ],
      more: `credentials: { ${credential('A')}, ${credential('B')} }`,
      env: { OTHER: 'the other', A: 'key of a', B: 'key of b' },
    },
  );
  const [own, others] = [await session(), await session('the other')];
  for (const path of ['/none', '/a', '/b', '/none/again'])
    assert.equal((await askHttp2(own, { ':path': path })).status, 200);
  assert.equal((await askHttp2(others, { ':path': '/of-other' })).status, 200);
  assert.equal(sessionOf.size, 5);
  assert.equal(sessionOf.get('/none'), sessionOf.get('/none/again'));
  assert.equal(new Set(sessionOf.values()).size, 4);
});

test('a body that waits for 100 Continue comes once the destination says so', async (t) => {
  const { session } = await startScene(t, (stream, headers) => {
    assert.equal(headers.expect, '100-continue');
    if (headers[':path'] === '/no') return stream.respond({ ':status': 417 }, { endStream: true });
    stream.additionalHeaders({ ':status': 100 });
    textOf(stream).then(
      (text) => {
        stream.respond({ ':status': 200 });
        stream.end(text);
      },
      () => {},
    );
  });
  const client = await session();
  const post = (path: string) =>
    client.request({ ':method': 'POST', ':path': path, expect: '100-continue' });
  const refused = post('/no');
  refused.on('continue', () => refused.end('never'));
  assert.equal((await once(refused, 'response'))[0][':status'], 417);
  refused.destroy();
  const taken = post('/');
  await once(taken, 'continue');
  taken.end('body');
  let text = '';
  for await (const piece of taken) text += piece;
  assert.equal(text, 'body');
});

test('a reload that opens the tunnel no more ends its session behind the streams that run', async (t) => {
  const waiting = Promise.withResolvers<ServerHttp2Stream>();
  const { session, gateway } = await startScene(t, (stream) => waiting.resolve(stream));
  const client = await session();
  const slow = askHttp2(client, { ':path': '/slow' });
  const stream = await waiting.promise;
  const [told, closed] = [once(client, 'goaway'), once(client, 'close')];
  const text = await readFile(gateway.file, 'utf8');
  await writeFile(gateway.file, text.replace(', intercept: true', ''));
  assert.equal(await gateway.gateway.reload(), true);
  assert.equal((await told)[0], constants.NGHTTP2_NO_ERROR);
  hello(stream, {});
  assert.equal((await slow).body, 'hello');
  await closed;
  const { outcome } = await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.deepEqual([outcome.status, outcome.error], [200, null]);
});
