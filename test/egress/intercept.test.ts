import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { fetch, ProxyAgent } from 'undici';
import { WebSocket } from 'ws';
import { createCertificates } from '../support/certificates.ts';
import { run, statusOf } from '../support/clients.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { startIntercepting, takesToken } from '../support/intercept-gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';

test('a request within https:// is decided on, sent over verified TLS, and recorded by itself', async (t) => {
  const { ask, upstream, authority, gateway } = await startIntercepting(t, {
    rule: ', methods: [GET], paths: [/repos/**]',
  });
  const answer = await ask(
    `GET /repos/acme HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`,
  );
  assert.equal(statusOf(answer), 200);
  assert.equal(upstream.requests.length, 1);
  const inner = await gateway.outcome(({ action }) => action === 'GET');
  assert.deepEqual(
    [inner.destination, inner.path, inner.principal, inner.decision?.rule],
    [authority, '/repos/acme', 'fn', 'api'],
  );
  const outer = await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.deepEqual([outer.tls?.sni, outer.intercepted], ['api.localhost', true]);
  assert.equal(inner.intercepted, undefined);
});

test('the CA is made for the gateway alone, and its leaves name one host for a day', async (t) => {
  const { open, ca, gateway } = await startIntercepting(t);
  const { mode } = await stat(join(gateway.dir, 'var', 'intercept-ca.key'));
  assert.equal(mode & 0o777, 0o600);
  const authority = new X509Certificate(ca);
  assert.ok(authority.ca && authority.verify(authority.publicKey));
  const secure = await open();
  const leaf = new X509Certificate(secure.getPeerCertificate().raw);
  assert.equal(leaf.subjectAltName, 'DNS:api.localhost');
  assert.ok(!leaf.ca && leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
  assert.ok(leaf.validToDate.getTime() - Date.now() <= 24 * 3_600_000);
  assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
});

/** What reaches a GitHub-like API by an `https://` URL, with a token that it never had. */
async function startGitHub(t: TestContext) {
  const scene = await startIntercepting(t, {
    rule: ', methods: [GET, POST], paths: [/repos/**], with: github',
    more: 'credentials: { github: { for: api.localhost, header: { Authorization: ["token ", { env: TOKEN }] }, tls: { ca: { file: ca.pem } } } }',
    answer: takesToken,
  });
  const { gateway, authority, upstream } = scene;
  const basic = `http://fn:sesame@127.0.0.1:${gateway.port}`;
  return {
    ...scene,
    basic,
    url: (path: string) => `https://${authority}${path}`,
    /** The token arrived, and is nowhere else. */
    async assertHidden(...texts: readonly string[]) {
      assert.match(upstream.requests[0] ?? '', new RegExp(`authorization: token ${TOKEN}`, 'i'));
      const artefacts = [...texts, gateway.log(), await gateway.recorded()].join('\n');
      assert.doesNotMatch(artefacts, new RegExp(TOKEN));
    },
  };
}

const CLIENTS_TOKEN = 'Authorization: token of-the-client';

test('curl reaches an API by https:// with a token that it never had', {
  skip: needs('curl'),
}, async (t) => {
  const { basic, url, caFile, assertHidden } = await startGitHub(t);
  const { stdout, stderr, code } = await run(
    'curl',
    ['-sS', '-v', '--cacert', caFile, '-H', CLIENTS_TOKEN, url('/repos/acme')],
    { env: { https_proxy: basic } },
  );
  assert.deepEqual([code, stdout], [0, 'ok']);
  await assertHidden(stderr);
});

test('curl reads a refusal of a path inside https://', { skip: needs('curl') }, async (t) => {
  const { basic, url, caFile, upstream, gateway } = await startGitHub(t);
  const { stdout, code } = await run(
    'curl',
    ['-sS', '-i', '--cacert', caFile, url('/user'), url('/repos/%2e%2e/user')],
    { env: { https_proxy: basic } },
  );
  assert.equal(code, 0);
  assert.equal(stdout.match(/^HTTP\/2 403/gm)?.length, 2);
  assert.equal(stdout.match(/^sekisho-reason: no-matching-rule\r$/gm)?.length, 2);
  assert.match(stdout, /^ {2}principal {2}fn$/m);
  assert.deepEqual(upstream.requests, []);
  const { path, decision } = await gateway.outcome(({ action }) => action === 'GET');
  assert.deepEqual([path, decision?.effect], ['/user', 'deny']);
});

const REQUESTS = `
import sys, requests
response = requests.post(sys.argv[1], json={'title': 'x'}, headers={'Authorization': 'token of-the-client'})
print(response.status_code, response.text)
`;
const STANDARD = `
import sys, urllib.request
response = urllib.request.urlopen(sys.argv[1])
print(response.status, response.read())
`;
const URLLIB3 = `
import sys, urllib3
proxy, ca, url = sys.argv[1:]
headers = urllib3.make_headers(proxy_basic_auth='fn:sesame')
manager = urllib3.ProxyManager(proxy, proxy_headers=headers, ca_certs=ca)
for _ in range(2):
    response = manager.request('GET', url)
    print(response.status, response.data.decode())
`;

test('Python requests, urllib3 and the standard library reach it, told of the CA as their docs say', {
  skip: needs('python3-requests', 'python3-urllib3'),
}, async (t) => {
  const { basic, url, caFile, gateway, assertHidden } = await startGitHub(t);
  const requests = await run(PYTHON, ['-c', REQUESTS, url('/repos/acme/issues')], {
    env: { HTTPS_PROXY: basic, REQUESTS_CA_BUNDLE: caFile },
  });
  assert.deepEqual([requests.stderr, requests.stdout], ['', '200 ok\n']);
  const args = ['-c', URLLIB3, gateway.proxyUrl, caFile, url('/repos/acme')];
  const urllib3 = await run(PYTHON, args);
  assert.deepEqual([urllib3.stderr, urllib3.stdout], ['', '200 ok\n200 ok\n']);
  const standard = await run(PYTHON, ['-c', STANDARD, url('/repos/acme')], {
    env: { HTTPS_PROXY: basic, SSL_CERT_FILE: caFile },
  });
  assert.deepEqual([standard.stderr, standard.stdout], ['', "200 b'ok'\n"]);
  await assertHidden(requests.stdout, urllib3.stdout, standard.stdout);
});

test("Node's own fetch reaches it, and undici's, on a connection that is kept", async (t) => {
  const { basic, url, caFile, ca, gateway, assertHidden } = await startGitHub(t);
  const script =
    "const r = await fetch(process.argv[1]); process.stdout.write(r.status + ' ' + (await r.text()))";
  const own = await run(
    process.execPath,
    ['--input-type=module', '-e', script, url('/repos/acme')],
    {
      env: { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: basic, NODE_EXTRA_CA_CERTS: caFile },
    },
  );
  assert.deepEqual([own.code, own.stdout], [0, '200 ok']);
  const dispatcher = new ProxyAgent({
    uri: gateway.proxyUrl,
    headers: { 'x-workload': 'sesame' },
    requestTls: { ca },
  });
  t.after(() => dispatcher.close());
  const get = (path: string) => fetch(url(path), { dispatcher });
  const paths = ['/repos/a', '/repos/b', '/repos/c', '/repos/d', '/repos/e'];
  for (const path of paths) assert.equal(await (await get(path)).text(), 'ok');
  const refused = await get('/user');
  assert.equal(refused.status, 403);
  assert.equal(refused.headers.get('sekisho-reason'), 'no-matching-rule');
  const connects = gateway.events.filter(
    (event) => event.type === 'decision' && event.action === 'CONNECT',
  );
  assert.ok(connects.length < paths.length, String(connects.length));
  await assertHidden(own.stdout);
});

test('a host whose rule does not say so stays a tunnel, with the certificate of its own', async (t) => {
  const { tunnel, upstream, ca } = await startIntercepting(t, {
    names: ['api.localhost', 'plain.localhost'],
    rules: [
      '{ name: plain, allow: [fn], to: [plain.localhost], ports: [PORT], addresses: [127.0.0.1] }',
    ],
  });
  const { socket } = await tunnel(`plain.localhost:${upstream.port}`);
  const secure = connect({ socket, servername: 'plain.localhost', rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  const leaf = new X509Certificate(secure.getPeerCertificate().raw);
  secure.destroy();
  assert.equal(leaf.subjectAltName, 'DNS:api.localhost, DNS:plain.localhost');
  assert.equal(leaf.checkIssued(new X509Certificate(ca)), false);
});

test('a WebSocket inside https:// passes once its request was decided on', async (t) => {
  const { open, authority, gateway } = await startIntercepting(t, {
    rule: ', methods: [GET], paths: [/open]',
    answer: acceptWebSocket,
  });
  const secure = await open();
  const socket = new WebSocket(`wss://${authority}/open`, { createConnection: () => secure });
  await once(socket, 'open');
  socket.send('how are you');
  const [data] = await once(socket, 'message');
  assert.equal(String(data), 'fine');
  socket.terminate();
  const { outcome } = await gateway.outcome(({ path }) => path === '/open');
  assert.equal(outcome.status, 101);
  assert.ok(outcome.bytesUp > 0 && outcome.bytesDown > 0);
});

/** Says `fine` to whatever comes. */
function acceptWebSocket(request: string, socket: TLSSocket): void {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
  );
  socket.once('data', () => socket.write(Buffer.from('\x81\x04fine', 'latin1')));
}

test('the client of a proxy over TLS has TLS within TLS', async (t) => {
  const certificates = createCertificates('gateway.localhost');
  const { gateway, authority, ca } = await startIntercepting(t, {
    listener: 'tls: { certificate: { file: gw.crt }, key: { file: gw.key } }',
    files: { 'gw.crt': certificates.cert.toString(), 'gw.key': certificates.key.toString() },
  });
  const outer = connect({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false });
  t.after(() => outer.destroy());
  await once(outer, 'secureConnect');
  outer.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: sesame\r\n\r\n`);
  const [established] = await once(outer, 'data');
  assert.equal(statusOf(String(established)), 200);
  const inner = connect({ socket: outer, servername: 'api.localhost', ca });
  t.after(() => inner.destroy());
  await once(inner, 'secureConnect');
  inner.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const [answer] = await once(inner, 'data');
  assert.equal(statusOf(String(answer)), 200);
});

test('requests inside end with the gateway, and the client is told so', async (t) => {
  const { open, authority, gateway } = await startIntercepting(t);
  const secure = await open();
  secure.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  await once(secure, 'data');
  const ended = once(secure.resume(), 'end');
  await gateway.gateway.stop({ notice: false });
  await ended;
  const { outcome } = await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.deepEqual([outcome.status, outcome.error], [200, null]);
});
