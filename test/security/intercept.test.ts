import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { authorization, readToken } from '../../src/admin/token.ts';
import { keepAuthority } from '../../src/authority/own-authority.ts';
import { load } from '../../src/config/load.ts';
import { createCertificates } from '../support/certificates.ts';
import { run, statusOf } from '../support/clients.ts';
import { OK, TOKEN } from '../support/credential-gateway.ts';
import { type InterceptScene, startIntercepting } from '../support/intercept-gateway.ts';
import { needs } from '../support/programs.ts';

const CLOSE = 'Connection: close\r\n\r\n';
const get = (target: string, host: string) => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}`;

function reasonIn(answer: string): string | undefined {
  return /^Sekisho-Reason: (.*)\r$/m.exec(answer)?.[1];
}

test('a request inside names the host of its CONNECT and no other, in whatever form', async (t) => {
  const { ask, authority, upstream } = await startIntercepting(t, {
    names: ['api.localhost', 'other.localhost'],
    rules: [
      '{ name: other, allow: [fn], to: [other.localhost], ports: [PORT], addresses: [127.0.0.1], intercept: true }',
    ],
  });
  const other = `other.localhost:${upstream.port}`;
  const attempts: [request: string, reason: string][] = [
    [get('/', other), 'host-mismatch'],
    [get('/', 'api.localhost'), 'host-mismatch'],
    [get('/', `api.localhost:${upstream.port + 1}`), 'host-mismatch'],
    [get(`https://${other}/`, other), 'host-mismatch'],
    [get(`https://${other}/`, authority), 'host-mismatch'],
    [get(`https://${authority}/`, other), 'host-mismatch'],
    [get(`http://${authority}/`, authority), 'request-invalid'],
    [get(`https://fn@${authority}/`, authority), 'request-invalid'],
    [`GET / HTTP/1.1\r\nHost: ${authority}\r\nHost: ${other}\r\n${CLOSE}`, 'request-invalid'],
    [`GET / HTTP/1.1\r\n${CLOSE}`, 'request-invalid'],
    [`CONNECT ${other} HTTP/1.1\r\nHost: ${other}\r\n\r\n`, 'request-invalid'],
    [`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`, 'request-invalid'],
  ];
  for (const [request, reason] of attempts) {
    const answer = await ask(request);
    assert.deepEqual([statusOf(answer), reasonIn(answer)], [400, reason], request);
  }
  assert.deepEqual(upstream.requests, []);
  assert.equal(statusOf(await ask(get(`https://${authority}/x`, authority))), 200);
  assert.match(upstream.requests[0] ?? '', new RegExp(`^GET /x HTTP/1.1\r\nHost: ${authority}\r`));
});

test('two lengths inside are refused as they are outside', async (t) => {
  const { ask, authority, upstream } = await startIntercepting(t);
  const answer = await ask(
    `POST / HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /`,
  );
  assert.deepEqual([statusOf(answer), reasonIn(answer)], [400, 'request-invalid']);
  assert.deepEqual(upstream.requests, []);
});

test('what identifies is on the CONNECT: inside it changes nothing, and goes no further', async (t) => {
  const { ask, authority, upstream, gateway } = await startIntercepting(t);
  const answer = await ask(
    `GET / HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: wrong\r\nProxy-Authorization: Basic eDp5\r\n${CLOSE}`,
  );
  assert.equal(statusOf(answer), 200);
  assert.doesNotMatch(upstream.requests[0] ?? '', /workload|proxy-|sesame|wrong/i);
  const { principal } = await gateway.outcome(({ action }) => action === 'GET');
  assert.equal(principal, 'fn');
});

test('another server name than the CONNECT host, or none, ends with an alert and on record', async (t) => {
  const { open, gateway, upstream } = await startIntercepting(t);
  for (const servername of ['other.localhost', '']) {
    await assert.rejects(open({ servername, checkServerIdentity: () => undefined }), {
      code: 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
    });
  }
  const { id, outcome } = await gateway.outcome(({ tls }) => tls?.sni === 'other.localhost');
  const { stage, reason } = gateway.decisions(id).at(-1)?.decision ?? {};
  assert.deepEqual([stage, reason, outcome.status], ['hello', 'sni-mismatch', 200]);
  assert.deepEqual(upstream.requests, []);
});

test('what is no TLS is not read as a request', async (t) => {
  const { tunnel, authority, gateway, upstream } = await startIntercepting(t);
  const client = await tunnel();
  client.send(get('/', authority));
  await once(client.socket.resume(), 'end');
  client.close();
  const { id } = await gateway.outcome();
  assert.equal(gateway.decisions(id).at(-1)?.decision?.reason, 'protocol-mismatch');
  assert.deepEqual(upstream.requests, []);
});

test('a destination whose certificate does not hold gets nothing, and the client is told inside', async (t) => {
  const scenes = [
    await startIntercepting(t, { names: ['other.localhost'] }),
    await startIntercepting(t, { intercept: '{}' }),
  ];
  for (const { ask, authority, upstream, gateway } of scenes) {
    const answer = await ask(get('/', authority));
    assert.deepEqual([statusOf(answer), reasonIn(answer)], [502, 'tls-failed']);
    assert.doesNotMatch(answer, /altname|issuer|127\.0\.0\.1/i);
    assert.deepEqual(upstream.requests, []);
    const { outcome } = await gateway.outcome(({ action }) => action === 'GET');
    assert.equal(outcome.error, 'tls-failed');
  }
});

async function assertLeft({ gateway, upstream }: InterceptScene): Promise<string> {
  const { outcome } = await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.deepEqual([outcome.status, outcome.error], [200, 'client-tls-failed']);
  assert.deepEqual(upstream.requests, []);
  return outcome.detail ?? '';
}

test('a client that does not trust the CA leaves, and the record says why', {
  skip: needs('curl'),
}, async (t) => {
  const scene = await startIntercepting(t);
  const proxy = `http://fn:sesame@127.0.0.1:${scene.gateway.port}`;
  const { code } = await run('curl', ['-sS', '-x', proxy, `https://${scene.authority}/`]);
  assert.equal(code, 60);
  assert.match(await assertLeft(scene), /unknown ca/);
});

const LEAVING: Readonly<Record<string, (scene: InterceptScene) => ConnectionOptions>> = {
  'looks at the certificate behind the handshake': () => ({ ca: [] }),
  'pins the certificate of the destination': () => ({
    checkServerIdentity: (_host, { fingerprint256 }) =>
      fingerprint256 === 'AA:BB' ? undefined : new Error('not the pinned one'),
  }),
  'speaks another protocol alone': () => ({ ALPNProtocols: ['imap'] }),
};

for (const [what, options] of Object.entries(LEAVING)) {
  test(`a client that ${what} leaves without having reached anything`, async (t) => {
    const scene = await startIntercepting(t);
    await assert.rejects(scene.open(options(scene)));
    await assertLeft(scene);
  });
}

test('a token that the destination echoes inside https:// is masked', async (t) => {
  const { ask, authority } = await startIntercepting(t, {
    rule: ', with: c',
    more: 'credentials: { c: { for: api.localhost, header: { Authorization: ["token ", { env: TOKEN }] } } }',
    answer: (request, socket) =>
      socket.write(
        `HTTP/1.1 200 OK\r\nX-Echo: ${TOKEN}\r\nContent-Length: ${request.length}\r\n\r\n${request}`,
      ),
  });
  const answer = await ask(get('/', authority));
  assert.equal(statusOf(answer), 200);
  assert.match(answer, /^X-Echo: \*+\r$/m);
  assert.doesNotMatch(answer, new RegExp(TOKEN));
});

/** A session in which a request was answered, and how it goes on. */
async function askAndReload(t: TestContext, change: (text: string) => string) {
  const { open, authority, gateway } = await startIntercepting(t, {
    answer: (request, socket) => {
      if (!request.startsWith('GET /slow')) socket.write(OK);
      else late.resolve(() => socket.write(OK));
    },
  });
  const late = Promise.withResolvers<() => void>();
  const secure = await open();
  const ask = async (path: string) => {
    secure.write(`GET ${path} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    const [answer] = await once(secure, 'data');
    return statusOf(String(answer));
  };
  assert.equal(await ask('/'), 200);
  const slow = ask('/slow');
  const answerIt = await late.promise;
  const text = await readFile(gateway.file, 'utf8');
  await writeFile(gateway.file, change(text));
  assert.equal(await gateway.gateway.reload(), true);
  return { secure, ask, slow, answerIt, gateway };
}

const TAKEN_AWAY: Readonly<Record<string, (text: string) => string>> = {
  'takes its rule away': (text) => text.replace(/^ {2}- \{ name: api.*$/m, '  []'),
  'no longer opens it': (text) => text.replace(', intercept: true', ''),
};

for (const [what, change] of Object.entries(TAKEN_AWAY)) {
  test(`a session that was opened ends with its last exchange after a reload that ${what}`, async (t) => {
    const { secure, slow, answerIt, gateway } = await askAndReload(t, change);
    answerIt();
    assert.equal(await slow, 200);
    await once(secure.resume(), 'end');
    const { outcome } = await gateway.outcome(({ action }) => action === 'CONNECT');
    assert.deepEqual([outcome.status, outcome.error], [200, null]);
    const reload = gateway.events.find(({ type }) => type === 'reload');
    assert.equal(reload?.type === 'reload' && reload.ended, 1);
  });
}

test('a rule that a reload narrows holds for the next request of a session that stays open', async (t) => {
  const narrow = (text: string) => text.replace('intercept: true', 'intercept: true, paths: [/x]');
  const { ask, slow, answerIt } = await askAndReload(t, narrow);
  answerIt();
  assert.equal(await slow, 200);
  assert.equal(await ask('/'), 403);
});

/** Every line of a key in PEM. */
function linesOf(pem: string): string[] {
  return pem.split('\n').filter((line) => line.length > 20 && !line.startsWith('-'));
}

test('the key of the CA is in no log, record, metric or answer', async (t) => {
  const { ask, authority, gateway } = await startIntercepting(t, {
    more: 'gateway: { log: debug }',
  });
  await ask(get('/', authority));
  await ask(get('/', 'other.localhost'));
  await gateway.gateway.reload();
  const { host, port } = gateway.gateway.admin;
  const token = authorization(await readToken(join(gateway.dir, 'var')));
  const pages = ['/metrics', '/v1/status'].map(async (path) => {
    const answer = await fetch(`http://${host}:${port}${path}`, {
      headers: { authorization: token },
    });
    return answer.text();
  });
  const artefacts = [gateway.log(), await gateway.recorded(), ...(await Promise.all(pages))];
  const key = await readFile(join(gateway.dir, 'var', 'intercept-ca.key'), 'utf8');
  assert.ok(linesOf(key).length > 1);
  for (const line of linesOf(key)) assert.ok(!artefacts.join('\n').includes(line));
});

async function startWithCa(t: TestContext, certificate: Buffer, key: Buffer) {
  return startIntercepting(t, {
    intercept:
      '{ ca: { certificate: { file: my.crt }, key: { file: my.key } }, alsoTrust: { file: ca.pem } }',
    files: { 'my.crt': certificate.toString(), 'my.key': key.toString() },
  });
}

test('a CA that is none, or a key of another one, keeps the gateway from starting', async (t) => {
  const one = createCertificates('a.localhost');
  const two = createCertificates('b.localhost');
  const attempts: [certificate: Buffer, key: Buffer, told: RegExp][] = [
    [one.cert, one.key, /none of a CA/],
    [one.ca, two.key, /file my\.key is not the key of the certificate/],
    [one.ca, Buffer.from('-----BEGIN sesame'), /file my\.key holds no private key/],
  ];
  for (const [certificate, key, told] of attempts) {
    const failure = await startWithCa(t, certificate, key).catch((error: Error) => error);
    assert.ok(failure instanceof Error);
    assert.match(failure.message, told);
    assert.ok(linesOf(key.toString()).every((line) => !failure.message.includes(line)));
  }
});

test('a key of the CA that others may read keeps the gateway from loading it', async (t) => {
  const { gateway } = await startIntercepting(t);
  await chmod(join(gateway.dir, 'var', 'intercept-ca.key'), 0o640);
  await assert.rejects(keepAuthority(load(gateway.file).config, Date.now()), {
    code: 'intercept-ca-invalid',
  });
});
