import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCertificates } from '../../test/support/certificates.ts';
import { run } from '../../test/support/clients.ts';
import { ROOT } from '../../test/support/sources.ts';

const tellSource: RequestListener = (request, response) =>
  response.end(`${request.socket.remoteAddress}\n`);

async function portOf(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const startEcho = (t: TestContext, answer: RequestListener = tellSource) =>
  portOf(t, createServer(answer));

async function verify(t: TestContext, exits: string, args: readonly string[], env = {}) {
  const cwd = await mkdtemp(join(tmpdir(), 'sekisho-exits-'));
  t.after(() => rm(cwd, { recursive: true, force: true }));
  await writeFile(join(cwd, 'sekisho.yaml'), `version: 1\n${exits}`);
  const command = [join(ROOT, 'bin', 'sekisho.js'), 'exits', 'verify', ...args];
  const { code, stdout, stderr } = await run(process.execPath, command, { cwd, env });
  return { code, stderr, lines: stdout.split('\n').map((line) => line.replace(/ +/g, ' ')) };
}

test('what the world sees is held against public, and only a difference is a finding', async (t) => {
  const echo = ['--echo', `http://127.0.0.1:${await startEcho(t)}/`];
  const exits = `exits:
  fixed: { localAddress: 127.0.0.9, public: [203.0.113.1, 127.0.0.9] }
  moved: { localAddress: 127.0.0.8, public: [203.0.113.1] }
  new: { localAddress: { env: NEW } }
`;
  const all = await verify(t, exits, echo, { NEW: '127.0.0.7' });
  assert.deepEqual(all, {
    code: 1,
    stderr: '',
    lines: [
      'ok fixed (127.0.0.9): seen as 127.0.0.9',
      'differs moved (127.0.0.8): seen as 127.0.0.8, while public says 203.0.113.1: correct public, and what every SaaS has listed',
      'unstated new (127.0.0.7): seen as 127.0.0.7, while public says nothing: write public: ["127.0.0.7"]',
      '',
    ],
  });
  const some = ['--exit', 'fixed', 'new', '--json', ...echo];
  const { code, lines } = await verify(t, exits, some, { NEW: '127.0.0.7' });
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(lines[0] as string), {
    ok: true,
    exits: [
      {
        exit: 'fixed',
        leaves: '127.0.0.9',
        public: ['203.0.113.1', '127.0.0.9'],
        status: 'ok',
        seen: '127.0.0.9',
      },
      { exit: 'new', leaves: '127.0.0.7', public: [], status: 'unstated', seen: '127.0.0.7' },
    ],
  });
});

/** Takes CONNECT and absolute form, and leaves from an address of its own. */
function parentProxy(seen: string[]): Server {
  const localAddress = '127.0.0.5';
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ip: localAddress }));
  });
  server.on('connect', (request, client) => {
    seen.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
    const port = Number(request.url?.split(':').at(-1));
    const upstream = connect({ host: '127.0.0.1', port, localAddress }, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) socket.on('error', () => {});
  });
  return server;
}

test('through a parent proxy, as its exchanges would go, over verified TLS', async (t) => {
  const seen: string[] = [];
  const port = await portOf(t, parentProxy(seen));
  const { cert, key, caFile } = createCertificates('echo.localhost');
  const echo = await portOf(t, createTlsServer({ cert, key }, tellSource));
  const exits = (resolve: string) => `
exits:
  corp: { parentProxy: { url: "http://127.0.0.1:${port}", credential: c, resolve: ${resolve} }, public: [127.0.0.5] }
credentials: { c: { for: 127.0.0.1, basic: { username: gw, password: { env: CORP } } } }
`;
  const basic = `Basic ${Buffer.from('gw:secret').toString('base64')}`;
  const line = `ok corp (127.0.0.1:${port}): seen as 127.0.0.5`;
  const ask = (resolve: string, url: string, more = {}) =>
    verify(t, exits(resolve), ['--echo', url], { CORP: 'secret', ...more });

  const trusting = { NODE_EXTRA_CA_CERTS: caFile };
  const secure = `https://echo.localhost:${echo}/`;
  assert.equal((await ask('parent', secure, trusting)).lines[0], line);
  assert.equal((await ask('parent', 'http://echo.test/ip?v')).lines[0], line);
  const distrusted = await ask('local', secure);
  assert.equal(distrusted.code, 1);
  assert.match(distrusted.lines[0] ?? '', /^unreachable .*: no TLS with echo\.localhost: /);
  assert.deepEqual(seen.slice(0, 2), [
    `CONNECT echo.localhost:${echo} ${basic}`,
    `GET http://echo.test/ip?v ${basic}`,
  ]);
  assert.equal(seen.at(-1), `CONNECT [::1]:${echo} ${basic}`);
});

const NO_ADDRESSES: Readonly<Record<string, readonly [RequestListener, string]>> = {
  'a page': [
    (_, response) => response.end('<html>Your IP is 203.0.113.1'),
    'it answers with no address',
  ],
  'other JSON': [
    (_, response) => response.end('{"address":"203.0.113.1"}'),
    'it answers with no address',
  ],
  'a long page': [
    (_, response) => response.end('x'.repeat(5_000)),
    'it answers with more than 1024 bytes',
  ],
  'a redirect': [
    (_, response) => response.writeHead(302, { location: '/' }).end(),
    'it answers 302',
  ],
  nothing: [(request) => request.socket.destroy(), 'it closes without an answer'],
};

for (const [what, [answer, detail]] of Object.entries(NO_ADDRESSES)) {
  test(`an echo that answers with ${what} is told`, async (t) => {
    const echo = `http://127.0.0.1:${await startEcho(t, answer)}/`;
    const { code, lines } = await verify(t, 'exits: { e: { localAddress: 127.0.0.9 } }', [
      '--echo',
      echo,
    ]);
    assert.deepEqual([code, lines[0]], [1, `unreachable e (127.0.0.9): ${detail}`]);
  });
}

test('an exit that nobody defined, and an echo that is no URL, are wrong usage', async (t) => {
  const exits = 'exits: { e: { localAddress: 127.0.0.9 } }';
  const unknown = await verify(t, exits, ['--exit', 'f']);
  assert.deepEqual([unknown.code, unknown.stderr], [2, 'error: no exit is called "f"\n']);
  for (const url of [
    'checkip',
    'ftp://checkip.test/',
    'http://user@checkip.test/',
    'http://a..b/',
  ]) {
    assert.equal((await verify(t, exits, ['--echo', url])).code, 2, url);
  }
});

test('a configuration without exits has nothing to verify', async (t) => {
  const { code, lines } = await verify(t, '', []);
  assert.deepEqual([code, lines], [0, ['sekisho.yaml has no exits', '']]);
});
