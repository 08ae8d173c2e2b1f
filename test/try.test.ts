import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { load } from '../src/config/load.ts';
import { createCertificates } from './support/certificates.ts';
import { run } from './support/clients.ts';
import { startTestGateway } from './support/gateway.ts';
import { needs, PYTHON } from './support/programs.ts';
import { ROOT } from './support/sources.ts';
import { startHttpsUpstream, startHttpUpstream, type Upstream } from './support/upstreams.ts';

const BIN = join(ROOT, 'bin/sekisho.js');
const APP = `
import os, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=os.environ['CA'])
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, context=context).read().decode())
    except Exception as error:
        print('failed:', error)
`;
const certificates = createCertificates('api.localhost');
let dir: string;
let secure: Upstream;
let plain: Upstream;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sekisho-try-test-'));
  await writeFile(join(dir, 'app.py'), APP);
  secure = await startHttpsUpstream(certificates);
  plain = await startHttpUpstream();
});

after(async () => {
  await secure.close();
  await plain.close();
  await rm(dir, { recursive: true });
});

function sekishoTry(options: readonly string[], ...command: string[]) {
  const env = { CA: certificates.caFile };
  return run(process.execPath, [BIN, 'try', ...options, '--', ...command], { env });
}

test('a command is run behind a gateway, and its policy lets the same run pass and no other', {
  skip: needs('python3'),
}, async () => {
  const urls = [`https://api.localhost:${secure.port}/`, `http://api.localhost:${plain.port}/x`];
  const app = [PYTHON, join(dir, 'app.py')];
  const policy = join(dir, 'policy.yaml');
  const tried = await sekishoTry(['--addresses', '127.0.0.1', '--policy', policy], ...app, ...urls);
  assert.equal(tried.code, 0, tried.stderr);
  assert.equal(tried.stdout, 'hello\nhello\n');
  assert.match(tried.stderr, /CONNECT api\.localhost/);

  const text = await readFile(policy, 'utf8');
  load(policy, { env: {} });
  const enforced = await startTestGateway(
    text.replace('version: 1\n', '').replace('"127.0.0.1:3128"', '"127.0.0.1:0"'),
    { env: { WORKLOAD_PASSWORD: 'pw' } },
  );
  try {
    const proxy = `http://workload:pw@127.0.0.1:${enforced.port}`;
    const env = { CA: certificates.caFile, http_proxy: proxy, https_proxy: proxy };
    const [python, ...args] = app as [string, string];
    const again = await run(python, [...args, ...urls, `https://other.localhost:${secure.port}/`], {
      env,
    });
    assert.match(again.stdout, /^hello\nhello\nfailed: .*403 Forbidden: no-matching-rule/);
  } finally {
    await enforced.stop();
  }
});

test('what is not public stays closed, and the live view says how to open it', {
  skip: needs('python3'),
}, async () => {
  const tried = await sekishoTry(
    [],
    PYTHON,
    join(dir, 'app.py'),
    `http://api.localhost:${plain.port}/`,
  );
  assert.match(tried.stdout, /^failed: .*address-forbidden/);
  assert.match(tried.stderr, /address-forbidden: .*--addresses/);
  assert.match(tried.stdout, /rules: \[\]\n$/);
});

test("the command's exit code is passed on, and a missing command is told", async () => {
  assert.equal((await sekishoTry([], 'sh', '-c', 'exit 7')).code, 7);
  const missing = await sekishoTry([], 'no-such-command-here');
  assert.equal(missing.code, 1);
  assert.match(
    missing.stderr,
    /cannot run no-such-command-here: there is no such program on the PATH/,
  );
});

test('a file that exists is not overwritten, and the command not even run', async () => {
  const policy = join(dir, 'precious.yaml');
  await writeFile(policy, 'precious');
  const ran = join(dir, 'ran');
  const refused = await sekishoTry(['--policy', policy], 'touch', ran);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /precious\.yaml exists already; give --policy the name of a new file\n$/,
  );
  assert.equal(await readFile(policy, 'utf8'), 'precious');
  assert.equal(existsSync(ran), false);
});

test('a place where no policy can be written is told before the command is run', async () => {
  const ran = join(dir, 'ran');
  const refused = await sekishoTry(['--policy', join(dir, 'missing', 'policy.yaml')], 'touch', ran);
  assert.match(refused.stderr, /policy\.yaml cannot be created: ENOENT.*; give --policy /);
  assert.equal(existsSync(ran), false);
});

test('a command that cannot be run leaves no empty policy behind', async () => {
  const policy = join(dir, 'never.yaml');
  assert.equal((await sekishoTry(['--policy', policy], 'no-such-command-here')).code, 1);
  assert.equal(existsSync(policy), false);
});

test('what is no network is wrong usage of --addresses', async () => {
  const wrong = await sekishoTry(['--addresses', '10.0.0.0/8', 'foo'], 'true');
  assert.equal(wrong.code, 2);
  assert.match(
    wrong.stderr,
    /'--addresses <cidr\.\.\.>' argument 'foo' is invalid\. "foo" is not an address/,
  );
  const bits = await sekishoTry(['--addresses', '10.0.5.7/24'], 'true');
  assert.match(bits.stderr, /--addresses.*write 10\.0\.5\.0\/24 for the network/);
});
