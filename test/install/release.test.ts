import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type Envelope, open, seal } from '../../scripts/release/dsse.ts';
import { NAMES } from '../../scripts/release/names.ts';
import { PREBUILT } from '../../scripts/release/native.ts';
import type { Statement } from '../../scripts/release/provenance.ts';
import type { Sbom } from '../../scripts/release/sbom.ts';
import { sumsOf } from '../../scripts/release/sums.ts';
import { verifyRelease } from '../../scripts/release/verify.ts';
import { copyCheckout } from '../support/checkout.ts';
import { RawClient } from '../support/clients.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { PLAIN_ENV, runHere } from '../support/npm.ts';
import { needs } from '../support/programs.ts';
import { ROOT } from '../support/sources.ts';
import { type RawUpstream, startRawUpstream } from '../support/upstreams.ts';

const skip = needs('git', 'build-essential', 'python3');
const work = mkdtempSync(join(tmpdir(), 'sekisho-release-test-'));
const [checkout, release, installed] = ['checkout', 'release', 'installed'].map((name) =>
  join(work, name),
) as [string, string, string];
const key = makeKey('key');
after(() => rmSync(work, { recursive: true, force: true }));

interface KeyFiles {
  readonly path: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

function makeKey(name: string): KeyFiles {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const path = join(work, name);
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(`${path}.pub`, publicKey.export({ type: 'spki', format: 'pem' }));
  return { path, privateKey, publicKey };
}

function run(cwd: string, ...[program = '', ...args]: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: PLAIN_ENV,
    encoding: 'utf8',
  });
  return { status, said: `${stdout}${stderr}` };
}

function releaseScript(...args: string[]) {
  return run(checkout, process.execPath, 'scripts/release.ts', ...args);
}

function make(out: string, ...options: string[]) {
  const modules = ['--modules', join(ROOT, 'node_modules')];
  return releaseScript('--key', key.path, '--out', out, ...modules, ...options);
}

function commitAll(): string {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
  runHere(checkout, 'git', 'add', '--all');
  runHere(checkout, 'git', ...who, 'commit', '--quiet', '--allow-empty', '--message', 'All');
  return runHere(checkout, 'git', 'rev-parse', 'HEAD').trim();
}

let commit: string;

// A repository of its own, whose commit is this checkout as it stands: what is tested is what is being worked on.
before(() => {
  if (skip) return;
  copyCheckout(checkout);
  runHere(checkout, 'git', 'init', '--quiet');
  commit = commitAll();
  writeFileSync(join(checkout, 'docs/draft.md'), 'not committed\n');
  const { status, said } = make(release);
  assert.equal(status, 0, said);
});

test('a release is whole in the eyes of its own script and of sha256sum', { skip }, () => {
  const options = ['--verify', '--out', release, '--public-key', `${key.path}.pub`];
  const { status, said } = releaseScript(...options);
  assert.equal(status, 0, said);
  assert.match(said, /whole, and signed by this key/);
  runHere(release, 'sha256sum', '--check', '--strict', NAMES.sums);
});

test('the provenance names the commit, and the tarball holds nothing that is not in it', {
  skip,
}, () => {
  const envelope = JSON.parse(readFileSync(join(release, NAMES.provenance), 'utf8')) as Envelope;
  const statement = open(envelope, key.publicKey) as {
    predicate: { buildDefinition: { resolvedDependencies: { digest: unknown; uri?: string }[] } };
  };
  const { resolvedDependencies } = statement.predicate.buildDefinition;
  assert.deepEqual(resolvedDependencies[0]?.digest, { gitCommit: commit });
  const compiler = resolvedDependencies.find(({ uri }) => uri?.startsWith('pkg:npm/typescript@'));
  assert.match(JSON.stringify(compiler?.digest), /^\{"sha512":"[0-9a-f]{128}"\}$/);
  const shipped = runHere(release, 'tar', '-tzf', tarballName());
  assert.match(shipped, /^package\/docs\/install\.md$/m);
  assert.doesNotMatch(shipped, /draft/);
});

test('npm ci in the unpacked tarball installs what the SBOM lists, and nothing else', {
  skip,
}, () => {
  install();
  const present = runHere(installed, 'npm', 'ls', '--omit=dev', '--all', '--parseable', '--long')
    .trim()
    .split('\n')
    .map((line) => line.split(':')[1]);
  const sbom = JSON.parse(readFileSync(join(release, NAMES.sbom), 'utf8')) as Sbom;
  const listed = [sbom.metadata.component, ...sbom.components]
    .filter(({ type }) => type !== 'file')
    .map(({ name, version }) => `${name}@${version}`);
  assert.deepEqual(new Set(present), new Set(listed));
  const usage = runHere(installed, process.execPath, 'bin/sekisho.js', '--help');
  assert.match(usage, /^Usage: sekisho /);
});

test('the machine code in the tarball is what SBOM and provenance say, byte for byte', {
  skip,
}, () => {
  const path = ['-xzOf', tarballName(), `package/${PREBUILT}`];
  const { stdout } = spawnSync('tar', path, { cwd: release });
  const hash = createHash('sha256').update(stdout).digest('hex');
  const sbom = JSON.parse(readFileSync(join(release, NAMES.sbom), 'utf8')) as Sbom;
  const listed = sbom.components.filter(({ type }) => type === 'file');
  assert.deepEqual(
    listed.map(({ name, hashes }) => [name, hashes?.find(({ alg }) => alg === 'SHA-256')?.content]),
    [[PREBUILT, hash]],
  );
  const envelope = JSON.parse(readFileSync(join(release, NAMES.provenance), 'utf8')) as Envelope;
  const { subject } = open(envelope, key.publicKey) as Statement;
  assert.deepEqual(subject.find(({ name }) => name === PREBUILT)?.digest, { sha256: hash });
  assert.equal(runHere(release, 'tar', '-tzf', tarballName()).match(/\.node$/gm)?.length, 1);
});

test('installed without a compiler, tunnels pass through the prebuilt native part', {
  skip: skip || (process.arch !== 'x64' && 'is prebuilt for x64'),
}, async (t) => {
  install();
  // What npm takes to run scripts, and no compiler.
  const path = join(work, 'path');
  mkdirSync(path);
  for (const [name, program] of [
    ['node', process.execPath],
    ['npm', realpathSync(runHere(work, 'which', 'npm').trim())],
    ['sh', '/bin/sh'],
  ] as const)
    symlinkSync(program, join(path, name));
  const script = spawnSync('npm', ['run', 'install'], {
    cwd: installed,
    env: { ...PLAIN_ENV, PATH: path },
    encoding: 'utf8',
  });
  assert.equal(script.status, 0, script.stderr);
  assert.match(script.stderr, /the native tunnel is not built here/);

  const upstream = await startRawUpstream((socket) => void socket.pipe(socket));
  t.after(() => upstream.close());
  const gateway = await startGatewayProcess(t, policyFor(upstream), { root: installed });
  const authority = `raw.localhost:${upstream.port}`;
  const client = new RawClient(gateway.port);
  client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  await client.until(/ 200 .*\r\n\r\n/s);
  client.send('there and back');
  await client.until(/there and back/);
  const { nativeTunnel, workers } = await gateway.status();
  assert.equal(nativeTunnel, 'prebuilt');
  assert.match(readFileSync(`/proc/${workers[0]?.pid}/maps`, 'utf8'), new RegExp(PREBUILT));
  client.socket.end();
  await client.all();
});

/** Unpacks the tarball and installs what it needs, once. */
function install(): void {
  if (existsSync(installed)) return;
  mkdirSync(installed);
  runHere(installed, 'tar', '-xzf', join(release, tarballName()), '--strip-components=1');
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund'];
  runHere(installed, 'npm', 'ci', '--ignore-scripts', ...quiet);
}

function policyFor({ port }: RawUpstream): string {
  return `gateway: { workers: 1 }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: raw, allow: [local], to: [raw.localhost], ports: [${port}], addresses: [127.0.0.1], tls: off }]
`;
}

/** A copy of the release that somebody changed. */
function tampered(t: TestContext, change: (folder: string) => void): string[] {
  const folder = mkdtempSync(join(work, 'tampered-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(release, folder, { recursive: true });
  change(folder);
  return verifyRelease(folder, key.publicKey);
}

/** What somebody does who has read how sums work. */
function sumAgain(folder: string): void {
  const names = readdirSync(folder).filter((name) => name !== NAMES.sums);
  const files = new Map(names.map((name) => [name, readFileSync(join(folder, name))]));
  writeFileSync(join(folder, NAMES.sums), sumsOf(files));
}

function flipByte(file: string): void {
  const bytes = readFileSync(file);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] as number) ^ 1;
  writeFileSync(file, bytes);
}

test('one byte that was changed is found, in any file of the release', { skip }, (t) => {
  for (const name of readdirSync(release)) {
    const problems = tampered(t, (folder) => flipByte(join(folder, name)));
    assert.match(problems.join('\n'), /does not have the sums/, name);
  }
});

test('one byte is found where the sums were made anew', { skip }, (t) => {
  for (const name of readdirSync(release).filter((file) => file !== NAMES.sums)) {
    const problems = tampered(t, (folder) => {
      flipByte(join(folder, name));
      sumAgain(folder);
    });
    const expected = new RegExp(`${name} is not (the file that|signed)|unreadable`);
    assert.match(problems.join('\n'), expected, name);
  }
});

test('a provenance that another key signed is found', { skip }, (t) => {
  const other = makeKey('other');
  const problems = tampered(t, (folder) => {
    const file = join(folder, NAMES.provenance);
    const statement = open(JSON.parse(readFileSync(file, 'utf8')) as Envelope, key.publicKey);
    writeFileSync(file, JSON.stringify(seal(statement as object, other.privateKey)));
    sumAgain(folder);
  });
  assert.deepEqual(problems, [`${NAMES.provenance} is not signed by this key`]);
});

test('an SBOM that leaves out a package is found, whoever signed for it', { skip }, (t) => {
  const problems = tampered(t, (folder) => {
    const file = join(folder, NAMES.sbom);
    const sbom = JSON.parse(readFileSync(file, 'utf8')) as Sbom;
    writeFileSync(file, JSON.stringify({ ...sbom, components: sbom.components.slice(1) }));
    sumAgain(folder);
  });
  assert.equal(problems.length, 2);
  assert.match(problems[1] ?? '', /does not list what sekisho-.*\.tgz installs/);
});

test('an SBOM that has another hash for the machine code is found, whoever signed for it', {
  skip,
}, (t) => {
  const problems = tampered(t, (folder) => {
    const file = join(folder, NAMES.sbom);
    const sbom = JSON.parse(readFileSync(file, 'utf8')) as Sbom;
    const components = sbom.components.map((one) =>
      one.type === 'file' ? { ...one, hashes: sbom.components[0]?.hashes } : one,
    );
    writeFileSync(file, JSON.stringify({ ...sbom, components }));
    sumAgain(folder);
  });
  assert.match(problems.join('\n'), /does not list the machine code that sekisho-.*\.tgz holds/);
});

test('a file that was added to a release or taken from it is found', { skip }, (t) => {
  const more = tampered(t, (folder) => writeFileSync(join(folder, 'install.sh'), ''));
  const fewer = tampered(t, (folder) => rmSync(join(folder, NAMES.sbom)));
  for (const problems of [more, fewer]) assert.match(problems.join(), /^a release is .* nothing/);
});

test('a build that comes out otherwise the second time makes no release', { skip }, () => {
  const script = `import { mkdirSync, writeFileSync } from 'node:fs';
mkdirSync('dist', { recursive: true });
writeFileSync('dist/built.js', String(process.hrtime.bigint()));
`;
  writeFileSync(join(checkout, 'scripts/build.ts'), script);
  commitAll();
  const out = join(work, 'differs');
  const { status, said } = make(out);
  assert.notEqual(status, 0);
  assert.match(said, /packed twice, the tarball differs/);
  assert.ok(!readdirSync(work).includes('differs'));
});

test('a key of another kind signs nothing', { skip }, () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const path = join(work, 'ec');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  assert.equal(createPublicKey(privateKey).asymmetricKeyType, 'ec');
  const { status, said } = releaseScript('--key', path, '--out', join(work, 'nothing'));
  assert.notEqual(status, 0);
  assert.match(said, /the key is of type ec/);
});

function tarballName(): string {
  return readdirSync(release).find((name) => name.endsWith('.tgz')) ?? '';
}
