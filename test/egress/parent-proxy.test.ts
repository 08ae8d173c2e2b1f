import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createCertificates } from '../support/certificates.ts';
import { type Finished, run } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs } from '../support/programs.ts';
import { type Squid, startSquid } from '../support/squid.ts';
import { startHttpsUpstream, startHttpUpstream, type Upstream } from '../support/upstreams.ts';

/** Exits through a real Squid, whose own log proves that they led there. */

const skip = needs('squid-openssl', 'curl');
const PASSWORD = 'open sesame: said the gateway';
const certificates = createCertificates('parent.localhost', 'here.localhost', 'there.test');
let squid: Squid;
let http: Upstream;
let https: Upstream;

before(async () => {
  if (skip !== false) return;
  http = await startHttpUpstream();
  https = await startHttpsUpstream(certificates);
  squid = await startSquid({
    user: 'gateway',
    password: PASSWORD,
    certificates,
    hosts: ['127.0.0.1 there.test'],
  });
});

after(async () => {
  if (skip !== false) return;
  await squid.stop();
  await http.close();
  await https.close();
});

/** `here.localhost` is resolved by the gateway, `there.test` by Squid alone. */
async function startGateway(t: TestContext, parentProxy: string, password = PASSWORD) {
  const gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: away, allow: [local], to: [there.test], ports: ["1-65535"], via: away }
  - { name: here, allow: [local], to: [here.localhost], ports: ["1-65535"], addresses: [127.0.0.1], via: here }
exits:
  away: { parentProxy: { ${parentProxy}, resolve: parent } }
  here: { parentProxy: { ${parentProxy} } }
credentials:
  squid: { for: parent.localhost, basic: { username: gateway, password: { env: SQUID } } }
audit: { also: [{ squidLog: access.log }] }
`,
    { env: { SQUID: password }, files: { 'ca.pem': String(certificates.ca) } },
  );
  t.after(() => gateway.stop());
  return gateway;
}

const plain = () => `url: "http://parent.localhost:${squid.port}", credential: squid`;

function curl({ proxyUrl }: TestGateway, ...args: string[]): Promise<Finished> {
  return run('curl', ['-sS', '-x', proxyUrl, '--cacert', certificates.caFile, ...args]);
}

/** Runs `body` and gives what Squid logs meanwhile, once it has so many lines: status, method, URL, user and way out. */
async function logged(count: number, body: () => Promise<void>): Promise<string[]> {
  const before = (await squid.log()).length;
  await body();
  let lines: string[] = [];
  while (lines.length < count) {
    await setImmediate();
    lines = (await squid.log()).slice(before);
  }
  return lines.map((line) => {
    const [, , , code, , method, url, user, way] = line.split(/ +/);
    return [code, method, url, user, way].join(' ');
  });
}

test('a tunnel by a decided address, and by a name that Squid resolves', { skip }, async (t) => {
  const gateway = await startGateway(t, plain());
  const lines = await logged(2, async () => {
    for (const host of ['here.localhost', 'there.test']) {
      const { stdout, stderr } = await curl(gateway, `https://${host}:${https.port}/`);
      assert.equal(stdout, 'hello', stderr);
    }
  });
  const port = https.port;
  assert.deepEqual(lines, [
    `TCP_TUNNEL/200 CONNECT 127.0.0.1:${port} gateway HIER_DIRECT/127.0.0.1`,
    `TCP_TUNNEL/200 CONNECT there.test:${port} gateway HIER_DIRECT/127.0.0.1`,
  ]);
});

test('plain requests: through a tunnel by address, in absolute form by name', {
  skip,
}, async (t) => {
  const gateway = await startGateway(t, plain());
  const { port } = http;
  const lines = await logged(2, async () => {
    const away = `http://there.test:${port}/a?b=c`;
    assert.equal((await curl(gateway, away, '-d', 'body')).stdout, 'hello');
    assert.equal((await curl(gateway, away)).stdout, 'hello');
  });
  assert.deepEqual(lines, [
    `TCP_MISS/200 POST http://there.test:${port}/a? gateway HIER_DIRECT/127.0.0.1`,
    `TCP_MISS/200 GET http://there.test:${port}/a? gateway HIER_DIRECT/127.0.0.1`,
  ]);
  const [post, get] = http.requests.slice(-2);
  assert.deepEqual([post?.url, post?.body, get?.url], ['/a?b=c', 'body', '/a?b=c']);
  assert.equal(get?.headers['proxy-authorization'], undefined);

  const { stdout } = await curl(gateway, `http://here.localhost:${port}/`);
  assert.equal(stdout, 'hello');
  assert.equal(http.requests.at(-1)?.headers.host, `here.localhost:${port}`);
});

test('over TLS, with the CA of the configuration', { skip }, async (t) => {
  const url = `url: "https://parent.localhost:${squid.tlsPort}", tls: { ca: { file: ca.pem } }`;
  const gateway = await startGateway(t, `${url}, credential: squid`);
  for (const target of [
    `https://here.localhost:${https.port}/`,
    `https://there.test:${https.port}/`,
    `http://there.test:${http.port}/`,
    `http://here.localhost:${http.port}/`,
  ]) {
    const { stdout, stderr } = await curl(gateway, target);
    assert.equal(stdout, 'hello', `${target} ${stderr}`);
  }
});

test('another password: refused by Squid, and not by way of the client', { skip }, async (t) => {
  const gateway = await startGateway(t, plain(), 'another');
  for (const target of [`https://there.test:${https.port}/`, `http://there.test:${http.port}/`]) {
    const { stdout, stderr } = await curl(gateway, '-D', '-', target);
    assert.match(stdout, /^HTTP\/1\.1 502 [^\r]*connect-failed/, stderr);
    assert.doesNotMatch(stdout, /Proxy-Authenticate|squid/i);
  }
  const details = gateway.events.flatMap((event) =>
    event.type === 'outcome' ? [event.outcome.detail] : [],
  );
  for (const detail of details) assert.match(detail ?? '', /^exit away: .* answers 407$/);
});

test("the gateway's own Squid log names the parent", { skip }, async (t) => {
  const gateway = await startGateway(t, plain());
  await curl(gateway, `https://there.test:${https.port}/`);
  await curl(gateway, `http://here.localhost:${http.port}/`);
  await gateway.outcome(({ action }) => action === 'GET');
  await gateway.gateway.stop({ notice: false });
  const lines = (await readFile(join(gateway.dir, 'access.log'), 'utf8')).trim().split('\n');
  assert.deepEqual(
    lines.map((line) => line.split(/ +/)[8]),
    ['FIRSTUP_PARENT/parent.localhost', 'FIRSTUP_PARENT/parent.localhost'],
  );
});
