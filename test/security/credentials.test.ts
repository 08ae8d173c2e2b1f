import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { bodyOf, OK, startScene, TOKEN } from '../support/credential-gateway.ts';
import { ECHOES, tells } from '../support/secret-echoes.ts';

const AUTHORIZATION = new RegExp(`^Authorization: token ${TOKEN}\r$`, 'm');

test('a plain request goes on over TLS with the credential, and in clear nowhere', async (t) => {
  const { ask, upstream, authority, gateway } = await startScene(t);
  const answer = await ask('GET /repos/acme?page=1');
  assert.equal(statusOf(answer), 200);
  assert.equal(bodyOf(answer), 'ok');
  const [request = ''] = upstream.requests;
  assert.match(request, /^GET \/repos\/acme\?page=1 HTTP\/1\.1\r\n/);
  assert.match(request, AUTHORIZATION);
  assert.match(request, new RegExp(`^Host: ${authority}\r$`, 'm'));
  assert.match(request, /^Accept-Encoding: identity\r$/m);
  const { id } = await gateway.outcome();
  assert.match(JSON.stringify(gateway.decisions(id)), /"credential":\{"name":"c","version":null\}/);
});

test('a certificate for another name gets no credential', async (t) => {
  const { ask, upstream, gateway } = await startScene(t, { name: 'other.localhost' });
  assert.equal(statusOf(await ask('GET /')), 502);
  assert.deepEqual(upstream.requests, []);
  assert.equal((await gateway.outcome()).outcome.error, 'tls-failed');
});

test('a certificate of a CA that nobody named gets no credential', async (t) => {
  const { ask, upstream } = await startScene(t, {
    credential: '{ for: api.localhost, header: { Authorization: { env: TOKEN } } }',
  });
  assert.equal(statusOf(await ask('GET /')), 502);
  assert.deepEqual(upstream.requests, []);
});

test('a tunnel to the host is refused, since nothing could be put on what is in it', async (t) => {
  const { gateway, authority, upstream } = await startScene(t);
  const lines = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    'X-Workload: sesame',
    '',
    '',
  ];
  const answer = await new RawClient(gateway.port).send(lines.join('\r\n')).until(/\r\n\r\n/);
  assert.equal(statusOf(answer), 403);
  assert.match(answer, /no-matching-rule/);
  assert.deepEqual(upstream.requests, []);
});

test('whoever is not identified gets no credential', async (t) => {
  const { gateway, authority, upstream } = await startScene(t);
  const lines = [`GET http://${authority}/ HTTP/1.1`, `Host: ${authority}`, '', ''];
  const answer = await new RawClient(gateway.port).send(lines.join('\r\n')).until(/\r\n\r\n/);
  assert.equal(statusOf(answer), 407);
  assert.deepEqual(upstream.requests, []);
});

test('every copy of the client’s own header is replaced, also where Connection names it', async (t) => {
  const { ask, upstream } = await startScene(t);
  const copies = ['authorization: mine', 'AUTHORIZATION: mine'];
  await ask('GET /', copies);
  await ask('GET /', [...copies, 'Connection: Authorization']);
  assert.equal(upstream.requests.length, 2);
  for (const request of upstream.requests) {
    assert.equal(request.match(/^authorization:/gim)?.length, 1);
    assert.match(request, AUTHORIZATION);
    assert.doesNotMatch(request, /mine/);
  }
});

test('no header that a server takes for the credential’s by its variables stands beside it', async (t) => {
  const { ask, upstream } = await startScene(t, {
    credential: '{ for: api.localhost, TLS, header: { X-Api-Key: { env: TOKEN } } }',
  });
  await ask('GET /', [
    'X_Api_Key: mine',
    'X-Api_Key: mine',
    'x_forwarded_for: mine',
    'X_Other: kept',
  ]);
  const [request = ''] = upstream.requests;
  assert.match(request, new RegExp(`^X-Api-Key: ${TOKEN}\r$`, 'm'));
  assert.match(request, /^X_Other: kept\r$/m);
  assert.doesNotMatch(request, /mine/);
});

test('a trailer of the client’s does not take the credential’s place', async (t) => {
  const { gateway, authority, upstream } = await startScene(t, {
    credential: '{ for: api.localhost, TLS, header: { X-Api-Key: { env: TOKEN } } }',
    // Answers once the body has ended.
    answer: () => {},
  });
  const client = new RawClient(gateway.port).send(
    `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: sesame\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Api-Key\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Api-Key: mine\r\nX_Api_Key: mine\r\n\r\n`,
  );
  const received = await upstream.received(/\r\n0\r\n[\s\S]*\r\n$/);
  client.close();
  assert.match(received, new RegExp(`^X-Api-Key: ${TOKEN}\\r$`, 'm'));
  assert.doesNotMatch(received, /mine/);
});

test('a destination that has no TLS but an old one gets no credential', async (t) => {
  const { ask, upstream, gateway } = await startScene(t, {
    server: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' },
  });
  assert.equal(statusOf(await ask('GET /')), 502);
  assert.deepEqual(upstream.requests, []);
  assert.equal((await gateway.outcome()).outcome.error, 'tls-failed');
});

test('headers by which a server takes another method, path or client do not go on', async (t) => {
  const { ask, upstream } = await startScene(t);
  const names = [
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
    'X-Method-Override',
    'X-Original-URL',
    'X-Rewrite-URL',
    'Forwarded',
    'X-Forwarded-For',
    'X-Forwarded-Host',
  ];
  await ask(
    'GET /',
    names.map((name) => `${name}: DELETE`),
  );
  assert.doesNotMatch(upstream.requests[0] ?? '', /DELETE/);
});

test('the header that identifies the workload does not go on', async (t) => {
  const { ask, upstream } = await startScene(t);
  await ask('GET /');
  assert.doesNotMatch(upstream.requests[0] ?? '', /X-Workload|sesame/i);
});

test('a method that sends the request back is refused', async (t) => {
  const { ask, upstream, gateway } = await startScene(t);
  for (const method of ['TRACE', 'TRACK', 'trace']) {
    const answer = await ask(`${method} /`);
    assert.equal(statusOf(answer), 400);
    assert.match(answer, /would send the credential back/);
  }
  assert.deepEqual(upstream.requests, []);
  const { id, decision } = await gateway.outcome();
  assert.equal(gateway.decisions(id).at(-1)?.decision?.stage, 'grant');
  assert.equal(decision?.effect, 'deny');
});

test('OPTIONS * takes on no credential', async (t) => {
  const { gateway, authority, upstream } = await startScene(t);
  const lines = [
    `OPTIONS http://${authority} HTTP/1.1`,
    `Host: ${authority}`,
    'X-Workload: sesame',
    '',
    '',
  ];
  const answer = await new RawClient(gateway.port).send(lines.join('\r\n')).until(/\r\n\r\n/);
  assert.equal(statusOf(answer), 400);
  assert.deepEqual(upstream.requests, []);
});

test('a rule with paths takes no path that servers read differently', async (t) => {
  const { ask, upstream } = await startScene(t, { rule: ', paths: ["/repos/acme/**"]' });
  for (const path of [
    '/repos/acme/../other',
    '/repos/acme/%2e%2e/other',
    '/repos/acme%2fx',
    '/repos//acme/x',
    '/repos/acme/x;y',
    '/repos/acme/%5cx',
  ]) {
    assert.equal(statusOf(await ask(`GET ${path}`)), 403, path);
  }
  assert.equal(statusOf(await ask('GET /repos/acme/x')), 200);
  assert.equal(upstream.requests.length, 1);
});

test('a redirect is returned and not followed, with the credential taken out of it', async (t) => {
  const location = `https://evil.example/?token=${TOKEN}&b=${Buffer.from(`token ${TOKEN}`).toString('base64url')}`;
  const { ask, upstream } = await startScene(t, {
    answer: (_request, socket) =>
      socket.write(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`),
  });
  const answer = await ask('GET /');
  assert.equal(statusOf(answer), 302);
  assert.match(answer, /^Location: https:\/\/evil\.example\/\?token=\*{38}&b=/m);
  assert.doesNotMatch(answer, /ghp_|Z2hw/);
  assert.equal(upstream.requests.length, 1);
});

for (const [name, echo] of Object.entries(ECHOES)) {
  test(`an echo of the credential as ${name} is masked in body, header and reason phrase`, async (t) => {
    const told = echo(TOKEN);
    const { ask } = await startScene(t, {
      answer: (_request, socket) => {
        socket.write(
          `HTTP/1.1 200 OK ${name === 'plain' ? told : ''}\r\nX-Echo: ${told}\r\nContent-Length: ${told.length + 2}\r\n\r\n<${told}>`,
        );
      },
    });
    const answer = await ask('GET /');
    assert.match(bodyOf(answer), /^<.*\*{30}.*>$/);
    assert.equal(bodyOf(answer).length, told.length + 2);
    assert.ok(!answer.includes(told.slice(-30, -8)), answer);
  });
}

test('an echo in chunks of a byte, in a trailer and in an extension of a chunk is masked or dropped', async (t) => {
  const { ask } = await startScene(t, {
    answer: (_request, socket) => {
      const chunks = [...`{"got":"${TOKEN}"}`].map((c) => `1;x="${TOKEN}"\r\n${c}\r\n`).join('');
      socket.write(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\nX-Trailer: ${TOKEN}\r\n\r\n`,
      );
    },
  });
  const answer = await ask('GET /');
  assert.equal(bodyOf(answer), `{"got":"${'*'.repeat(TOKEN.length)}"}`);
  assert.doesNotMatch(answer, /ghp_/);
});

test('an echo in an interim response is masked', async (t) => {
  const { ask } = await startScene(t, {
    answer: (_request, socket) => {
      socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </${TOKEN}>; rel=preload\r\n\r\n${OK}`);
    },
  });
  const answer = await ask('GET /');
  assert.match(answer, /^HTTP\/1\.1 103 .*\r\nLink: <\/\*+>; rel=preload\r\n/);
  assert.doesNotMatch(answer, /ghp_/);
});

test('an echo that ends with the connection is masked, also towards HTTP/1.0', async (t) => {
  const { ask } = await startScene(t, {
    answer: (_request, socket) => socket.end(`HTTP/1.0 200 OK\r\n\r\nyou sent ${TOKEN}`),
  });
  for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
    assert.equal(bodyOf(await ask(`GET / ${version}`)), `you sent ${'*'.repeat(TOKEN.length)}`);
  }
});

test('the token is in no record, no log and no error', async (t) => {
  const { ask, gateway } = await startScene(t, {
    more: 'gateway: { log: debug }',
    answer: (_request, socket) => socket.end(`HTTP/1.1 ${TOKEN} bad\r\n\r\n`),
  });
  assert.equal(statusOf(await ask('GET /')), 502);
  await gateway.outcome();
  const told = `${await gateway.recorded()}${gateway.log()}`;
  assert.ok(!tells(told, TOKEN), told);
});

test('a query or path that takes a secret stands in no record', async (t) => {
  const { ask, gateway, upstream } = await startScene(t, {
    credential: '{ for: api.localhost, path: ["/bot", { env: TOKEN }, "{path}"], TLS }',
  });
  await ask('GET /send?chat=1');
  assert.match(upstream.requests[0] ?? '', new RegExp(`^GET /bot${TOKEN}/send\\?chat=1 HTTP`));
  assert.equal((await gateway.outcome()).path, '/send');
  assert.doesNotMatch(await gateway.recorded(), /ghp_/);
});

test('a client connection carries many requests with a credential', async (t) => {
  const { gateway, upstream, authority } = await startScene(t);
  const client = new RawClient(gateway.port);
  const request = `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: sesame\r\n\r\n`;
  client.send(request);
  await client.times('ok', 1);
  client.send(request);
  await client.times('ok', 2);
  client.close();
  assert.equal(upstream.requests.length, 2);
});

const SIGNED = `{ for: api.localhost, TLS, sigv4: { service: execute-api, region: r, maxBody: 64B,
    identity: { accessKeyId: { env: TOKEN }, secretAccessKey: { env: TOKEN } } } }`;

test('a body that is signed is read first, and one that is too long, malformed or cut is sent nowhere', async (t) => {
  const { ask, upstream, gateway, authority } = await startScene(t, { credential: SIGNED });
  assert.equal(statusOf(await ask('POST /', [], 'x'.repeat(64))), 200);
  assert.match(upstream.requests[0] ?? '', /\r\n\r\nx{64}$/);
  assert.equal(statusOf(await ask('POST /', [], 'x'.repeat(65))), 400);
  const head = `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: sesame\r\n`;
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  const send = (bytes: string) => new RawClient(gateway.port).send(bytes);
  assert.equal(statusOf(await send(`${chunked}41\r\n${'x'.repeat(65)}\r\n0\r\n\r\n`).all()), 400);
  assert.equal(statusOf(await send(`${chunked}zz\r\n`).all()), 400);
  const leaving = send(`${chunked}40\r\nx`);
  leaving.socket.end();
  await gateway.outcome((event) => event.outcome.error === 'client-reset');
  leaving.close();
  assert.equal(upstream.requests.length, 1);
  // A body in chunks is told its length.
  const answer = await send(`${chunked}2\r\nab\r\n0\r\n\r\n`).until(/ok$/);
  assert.equal(statusOf(answer), 200);
  assert.match(upstream.requests[1] ?? '', /^Content-Length: 2\r\n[\s\S]*\r\n\r\nab$/m);
});

test('a client that waits to be told to send its body is told so by the gateway that signs it', async (t) => {
  const { gateway, authority } = await startScene(t, { credential: SIGNED });
  const client = new RawClient(gateway.port).send(
    `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: sesame\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
  );
  await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  client.send('ab');
  await client.until(/HTTP\/1\.1 200 OK[\s\S]*ok$/);
  client.close();
});

test('a client that stalls within a body that is signed holds its connection no longer than the idle limit', async (t) => {
  const { gateway, authority, upstream } = await startScene(t, {
    credential: SIGNED,
    listener: ', timeouts: { idle: 200ms }',
  });
  const client = new RawClient(gateway.port).send(
    `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: sesame\r\nContent-Length: 2\r\n\r\na`,
  );
  await gateway.outcome((event) => event.outcome.error === 'client-reset');
  client.close();
  assert.deepEqual(upstream.requests, []);
});

test('what a secret file holds after a reload is what goes out', async (t) => {
  const { ask, gateway, upstream } = await startScene(t, {
    credential: '{ for: api.localhost, TLS, header: { X-Key: { file: secret.txt } } }',
    files: { 'secret.txt': 'the-first-secret' },
  });
  await ask('GET /');
  await writeFile(join(gateway.dir, 'secret.txt'), 'the-second-secret');
  await gateway.gateway.reload();
  await ask('GET /');
  assert.deepEqual(
    upstream.requests.map((request) => /^X-Key: (.*)\r$/m.exec(request)?.[1]),
    ['the-first-secret', 'the-second-secret'],
  );
});
