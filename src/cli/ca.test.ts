import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCertificates } from '../../test/support/certificates.ts';
import { run } from '../../test/support/clients.ts';
import { ROOT } from '../../test/support/sources.ts';
import { keepAuthority } from '../authority/own-authority.ts';
import { load } from '../config/load.ts';

const RULE = 'rules: [{ name: r, allow: [anonymous], to: [a.example], intercept: true }]\n';

async function folderWith(t: TestContext, yaml: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sekisho-ca-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'sekisho.yaml'), `version: 1\n${yaml}`);
  return folder;
}

function ca(cwd: string, ...args: string[]) {
  return run(process.execPath, [join(ROOT, 'bin', 'sekisho.js'), 'ca', ...args], { cwd });
}

test('the CA that the gateway made is printed as it lies in the data directory', async (t) => {
  const cwd = await folderWith(t, RULE);
  const missing = await ca(cwd, 'show');
  assert.deepEqual([missing.code, missing.stdout], [1, '']);
  assert.match(missing.stderr, /the gateway makes it when it starts with a rule that says/);
  await keepAuthority(load(join(cwd, 'sekisho.yaml')).config, Date.now());
  const pem = await readFile(join(cwd, 'var', 'intercept-ca.crt'), 'utf8');
  const shown = await ca(cwd, 'show');
  assert.deepEqual([shown.code, shown.stdout], [0, pem]);
  const { fingerprint256 } = new X509Certificate(pem);
  assert.match(shown.stderr, new RegExp(fingerprint256));
  const json = JSON.parse((await ca(cwd, 'show', '--json')).stdout) as Record<string, unknown>;
  assert.deepEqual([json.fingerprint, json.certificate], [fingerprint256, pem]);
});

test('a CA of the configuration is printed in its place, whatever its key is', async (t) => {
  const certificates = createCertificates('a.example');
  const cwd = await folderWith(
    t,
    `${RULE}intercept: { ca: { certificate: { file: ca.crt }, key: { env: NOT_SET_HERE } } }\n`,
  );
  await writeFile(join(cwd, 'ca.crt'), certificates.ca);
  const { stdout } = await ca(cwd, 'show');
  assert.equal(stdout, certificates.ca.toString());
});

test('what each ecosystem wants is lines for a shell that hold the fingerprint and the paths', async (t) => {
  const cwd = await folderWith(t, RULE);
  await keepAuthority(load(join(cwd, 'sekisho.yaml')).config, Date.now());
  const { stdout } = await ca(cwd, 'install-help');
  for (const line of [
    'sekisho ca show -c sekisho.yaml > sekisho-ca.pem',
    'cat /etc/ssl/certs/ca-certificates.crt sekisho-ca.pem > sekisho-bundle.pem',
    'export NODE_EXTRA_CA_CERTS=$PWD/sekisho-ca.pem',
    'export REQUESTS_CA_BUNDLE=$PWD/sekisho-bundle.pem',
    'export AWS_CA_BUNDLE=$PWD/sekisho-bundle.pem',
    'export SSL_CERT_FILE=$PWD/sekisho-bundle.pem',
    'cp $PWD/sekisho-ca.pem /usr/local/share/ca-certificates/sekisho.crt',
    'update-ca-certificates',
  ])
    assert.ok(stdout.split('\n').includes(line), line);
  assert.match(stdout, /^keytool -importcert .* -file \$PWD\/sekisho-ca\.pem /m);
  const one = await ca(cwd, 'install-help', 'node');
  assert.match(one.stdout, /NODE_EXTRA_CA_CERTS/);
  assert.doesNotMatch(one.stdout, /BUNDLE|bundle/);
  const wrong = await ca(cwd, 'install-help', 'cobol');
  assert.equal(wrong.code, 2);
});
