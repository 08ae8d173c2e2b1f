import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ProxyAgent } from 'undici';
import { createCertificates } from '../support/certificates.ts';
import { run } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs } from '../support/programs.ts';
import { startHttpsUpstream, startHttpUpstream, type Upstream } from '../support/upstreams.ts';

const HEADER = 'X-Lambda-Test: open-sesame';
const certificates = createCertificates('api.localhost');
let secure: Upstream;
let plain: Upstream;
let gateway: TestGateway;
let basicUrl: string;

before(async () => {
  secure = await startHttpsUpstream(certificates);
  plain = await startHttpUpstream((request, response) => response.end(request.body || 'hello'));
  gateway = await startTestGateway(
    `
gateway: { contact: network-team@example.com }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  connector: { identify: [{ header: { name: X-Lambda-Test, value: { env: HEADER } } }] }
  legacy: { identify: [{ basic: { username: legacy, password: { env: PASSWORD } } }] }
  job: { identify: [{ bearer: { token: { env: TOKEN } } }] }
rules:
  - name: api
    allow: ["*"]
    to: [api.localhost]
    ports: [${secure.port}, ${plain.port}]
    addresses: [127.0.0.1]
`,
    { env: { HEADER: 'open-sesame', PASSWORD: 'p@ss word', TOKEN: 'tok-123' } },
  );
  basicUrl = `http://legacy:p%40ss%20word@127.0.0.1:${gateway.port}`;
});

after(async () => {
  await gateway.stop();
  await secure.close();
  await plain.close();
});

const https = (path = '/') => `https://api.localhost:${secure.port}${path}`;
const http = (path = '/') => `http://api.localhost:${plain.port}${path}`;
const curl = (...args: string[]) => run('curl', ['-sS', '--cacert', certificates.caFile, ...args]);

test('curl --proxy-header', { skip: needs('curl') }, async () => {
  const { stdout } = await curl('-x', gateway.proxyUrl, '--proxy-header', HEADER, https());
  assert.equal(stdout, 'hello');
});

test('curl with Basic in the proxy URL, over CONNECT and over plain http', {
  skip: needs('curl'),
}, async () => {
  assert.equal((await curl('-x', basicUrl, https())).stdout, 'hello');
  assert.equal((await curl('-x', basicUrl, http())).stdout, 'hello');
  assert.doesNotMatch(JSON.stringify(plain.requests.at(-1)?.rawHeaders), /proxy-/i);
});

test('curl with a Bearer token', { skip: needs('curl') }, async () => {
  const header = 'Proxy-Authorization: Bearer tok-123';
  assert.equal(
    (await curl('-x', gateway.proxyUrl, '--proxy-header', header, https())).stdout,
    'hello',
  );
});

test('curl -p sends plain http through CONNECT: to port 80 it is read, elsewhere it is no TLS', {
  skip: needs('curl'),
}, async () => {
  const refused = await curl('-p', '-x', basicUrl, http());
  assert.notEqual(refused.code, 0);
  const outcome = await gateway.outcome((event) => event.decision?.reason === 'protocol-mismatch');
  assert.equal(outcome.decision?.stage, 'hello');
});

test('curl uploads with Expect: 100-continue and with chunks', {
  skip: needs('curl'),
}, async () => {
  const body = 'x'.repeat(3_000_000);
  for (const header of ['Expect: 100-continue', 'Transfer-Encoding: chunked']) {
    const args = ['-sS', '-x', basicUrl, '-H', header, '--data-binary', '@-', http()];
    const { stdout } = await run('curl', args, { input: body });
    assert.equal(stdout.length, body.length, header);
  }
});

test('a refusal explains itself to curl: reason, contact and id', {
  skip: needs('curl'),
}, async () => {
  const other = http().replace('api.', 'other.');
  const { stdout } = await curl('-i', '-x', gateway.proxyUrl, '--proxy-header', HEADER, other);
  assert.match(stdout, /^HTTP\/1\.1 403 Forbidden: no-matching-rule \(sekisho [0-9a-f-]{36}\)/);
  assert.match(stdout, /^Sekisho-Reason: no-matching-rule\r$/m);
  assert.match(stdout, /contact +network-team@example\.com/);
  assert.match(stdout, /docs\/errors\.md#no-matching-rule/);
});

test('a refusal is a problem document for who accepts JSON', { skip: needs('curl') }, async () => {
  const other = http().replace('api.', 'other.');
  const args = ['-x', basicUrl, '-H', 'Accept: application/json', other];
  const { stdout } = await curl(...args);
  const problem = JSON.parse(stdout) as Record<string, unknown>;
  assert.equal(problem.status, 403);
  assert.equal(problem.reason, 'no-matching-rule');
  assert.equal(problem.principal, 'legacy');
});

test('whoami and why through the proxy', { skip: needs('curl') }, async () => {
  const own = (path: string, ...args: string[]) =>
    curl('-x', gateway.proxyUrl, ...args, `http://sekisho.internal${path}`).then(({ stdout }) =>
      JSON.parse(stdout),
    );
  const who = await own('/v1/whoami', '--proxy-header', HEADER);
  assert.equal(who.principal, 'connector');
  assert.equal(who.identifiedBy, 'header');
  assert.equal((await own('/v1/whoami')).principal, null);
  const { stdout } = await curl(
    '-D',
    '-',
    '-o',
    '/dev/null',
    '-x',
    gateway.proxyUrl,
    '--proxy-header',
    HEADER,
    http().replace('api.', 'other.'),
  );
  const id = /^Sekisho-Exchange: (\S+)/m.exec(stdout)?.[1];
  const why = await own(`/v1/why/${id}`, '--proxy-header', HEADER);
  assert.match(JSON.stringify(why), /no-matching-rule/);
  // Another principal's exchange is nobody else's business.
  const foreign = await own(
    `/v1/why/${id}`,
    '--proxy-header',
    'Proxy-Authorization: Bearer tok-123',
  );
  assert.doesNotMatch(JSON.stringify(foreign), /no-matching-rule/);
});

test('curl -p asks the gateway itself through CONNECT', { skip: needs('curl') }, async () => {
  const whoami = 'http://sekisho.internal/v1/whoami';
  const { stdout } = await curl('-p', '-x', basicUrl, whoami);
  assert.equal(JSON.parse(stdout).principal, 'legacy');
  const wrong = basicUrl.replace('legacy:', 'legacy:x');
  const refused = await curl('-p', '-x', wrong, whoami);
  assert.match(refused.stdout, /^Sekisho 407: identity-invalid\./);
});

test("Node's fetch with undici's ProxyAgent", async () => {
  const dispatcher = new ProxyAgent({
    uri: gateway.proxyUrl,
    headers: { 'x-lambda-test': 'open-sesame' },
    requestTls: { ca: certificates.ca },
  });
  try {
    const { fetch } = await import('undici');
    const response = await fetch(https('/node'), { dispatcher });
    assert.equal(await response.text(), 'hello');
    const whoami = await fetch('http://sekisho.internal/v1/whoami', { dispatcher });
    assert.partialDeepStrictEqual(await whoami.json(), { principal: 'connector' });
    const denied = fetch('https://other.localhost/', { dispatcher });
    await assert.rejects(denied, (error: Error) => /403/.test(causes(error)));
  } finally {
    await dispatcher.close();
  }
});

test("Node's own fetch with NODE_USE_ENV_PROXY and Basic", async () => {
  const script = `const r = await fetch(process.argv[1]); process.stdout.write(await r.text());`;
  const env = {
    NODE_USE_ENV_PROXY: '1',
    HTTPS_PROXY: basicUrl,
    NODE_EXTRA_CA_CERTS: certificates.caFile,
  };
  const { stdout, stderr } = await run(
    process.execPath,
    ['--input-type=module', '-e', script, https()],
    { env },
  );
  assert.equal(stdout, 'hello', stderr);
});

test('wget with Basic', { skip: needs('wget') }, async () => {
  const env = { https_proxy: basicUrl, http_proxy: basicUrl };
  const args = ['-qO-', `--ca-certificate=${certificates.caFile}`, https()];
  assert.equal((await run('wget', args, { env })).stdout, 'hello');
  assert.equal((await run('wget', ['-qO-', http()], { env })).stdout, 'hello');
});

test('git with Basic', { skip: needs('git') }, async () => {
  const sha = '1'.repeat(40);
  const line = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text;
  const refs = `${line('# service=git-upload-pack\n')}0000${line(`${sha} HEAD\0\n`)}${line(`${sha} refs/heads/main\n`)}0000`;
  const server = await startHttpsUpstream(certificates, (_request, response) => {
    response.setHeader('content-type', 'application/x-git-upload-pack-advertisement');
    response.end(refs);
  });
  const git = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { legacy: { identify: [{ basic: { username: legacy, password: { literal: pw } } }] } }
rules: [{ name: git, allow: [legacy], to: [api.localhost], ports: [${server.port}], addresses: [127.0.0.1] }]
`,
  );
  try {
    const env = {
      HTTPS_PROXY: `http://legacy:pw@127.0.0.1:${git.port}`,
      GIT_SSL_CAINFO: certificates.caFile,
    };
    const listed = await run('git', ['ls-remote', `https://api.localhost:${server.port}/x.git`], {
      env,
    });
    assert.match(listed.stdout, /refs\/heads\/main/, listed.stderr);
  } finally {
    await git.stop();
    await server.close();
  }
});

test('apt with Basic', { skip: needs('apt') }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-apt-'));
  const packages = 'Package: demo\nVersion: 1\nArchitecture: all\nFilename: demo.deb\nSize: 1\n\n';
  const repository = await startHttpUpstream((request, response) => {
    const found = request.url.endsWith('Packages.gz');
    response.writeHead(found ? 200 : 404).end(found ? gzipSync(packages) : '');
  });
  const apt = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { legacy: { identify: [{ basic: { username: legacy, password: { literal: pw } } }] } }
rules: [{ name: apt, allow: [legacy], to: [repo.localhost], ports: [${repository.port}], addresses: [127.0.0.1] }]
`,
  );
  try {
    for (const folder of ['lists/partial', 'cache/archives/partial', 'etc']) {
      await mkdir(join(dir, folder), { recursive: true });
    }
    const list = join(dir, 'sources.list');
    await writeFile(list, `deb [trusted=yes] http://repo.localhost:${repository.port}/ ./\n`);
    const settings = {
      'Dir::Etc::sourcelist': list,
      'Dir::Etc::sourceparts': '-',
      'Dir::State::lists': join(dir, 'lists'),
      'Dir::Cache': join(dir, 'cache'),
      'Acquire::http::Proxy': `http://legacy:pw@127.0.0.1:${apt.port}`,
      'APT::Sandbox::User': '',
      'Acquire::Languages': 'none',
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const updated = await run('apt-get', [...options, 'update']);
    assert.equal(updated.code, 0, updated.stderr);
    const policy = await run('apt-cache', [...options, 'policy', 'demo']);
    assert.match(policy.stdout, /Candidate: 1/);
  } finally {
    await apt.stop();
    await repository.close();
    await rm(dir, { recursive: true });
  }
});

/** Clients bury the status under errors of their own. */
function causes(error: unknown): string {
  return error instanceof Error ? `${error.message} ${causes(error.cause)}` : '';
}
