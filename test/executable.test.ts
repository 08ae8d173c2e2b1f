import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from './support/sources.ts';

/** A package around a copy of the executable, with `main` as its command line. */
function makePackage(t: TestContext, engines: string, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'sekisho-executable-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const manifest = JSON.stringify({ name: 'sekisho', type: 'module', engines: { node: engines } });
  for (const [path, text] of Object.entries({ ...files, 'package.json': manifest })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  mkdirSync(join(root, 'bin'));
  copyFileSync(join(ROOT, 'bin', 'sekisho.js'), join(root, 'bin', 'sekisho.js'));
  return root;
}

function run(root: string, ...args: string[]) {
  const executable = join(root, 'bin', 'sekisho.js');
  return spawnSync(process.execPath, [executable, ...args], { encoding: 'utf8' });
}

const says = (word: string) => `export const main = (argv) => console.log('${word}', ...argv);`;

const ANY = '>=1';
const LATER = '^998.1.0 || >=999';

test('the published package runs what was built', (t) => {
  const root = makePackage(t, ANY, { 'dist/cli/main.js': says('built') });
  assert.equal(run(root, 'check', '-c', 'a file').stdout, 'built check -c a file\n');
});

test('a checkout runs its sources, whatever was built before', (t) => {
  const root = makePackage(t, ANY, {
    'dist/cli/main.js': says('built'),
    'src/cli/main.ts': says('source'),
  });
  assert.equal(run(root).stdout, 'source\n');
});

test('engines are read as the range they are', (t) => {
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number);
  const ranges: [string, boolean][] = [
    [`^${major}.${minor}.${patch}`, true],
    [`^${major}.0.0`, true],
    [`^${major}.${minor}.${patch + 1}`, false],
    [`^${major}.${minor + 1}.0`, false],
    [`^${major - 1}.0.0`, false],
    [`>=${major + 1}`, false],
    [`>=${major - 1}`, true],
    [`^${major - 2}.0.0 || ^${major}.0.0 || >=${major + 2}`, true],
  ];
  for (const [range, covered] of ranges) {
    const root = makePackage(t, range, { 'dist/cli/main.js': says('runs') });
    assert.equal(run(root).stdout === 'runs\n', covered, range);
  }
});

test('under a Node that is too old, one line says which one it needs', (t) => {
  const root = makePackage(t, LATER, { 'dist/cli/main.js': says('must not run') });
  const { status, stdout, stderr } = run(root);
  assert.equal(stderr, `sekisho: needs Node ${LATER}, this is ${process.versions.node}\n`);
  assert.equal(stdout, '');
  assert.equal(status, 2);
});

test('under a Node that is too old, the one that the checkout brings along takes over', (t) => {
  const root = makePackage(t, LATER, {
    'node_modules/.bin/node': '#!/bin/sh\nshift\necho "other node: $*"\nexit 7\n',
  });
  chmodSync(join(root, 'node_modules/.bin/node'), 0o755);
  const { status, stdout } = run(root, 'run', '-c', 'b.yaml');
  assert.equal(stdout, 'other node: run -c b.yaml\n');
  assert.equal(status, 7);
});

test('a signal to the executable reaches the Node that took over', async (t) => {
  const root = makePackage(t, LATER, {
    'node_modules/.bin/node':
      '#!/bin/sh\ntrap "echo drained; exit 3" TERM\necho ready\nwhile kill -0 $PPID; do sleep 0.05; done\n',
  });
  chmodSync(join(root, 'node_modules/.bin/node'), 0o755);
  const child = spawn(process.execPath, [join(root, 'bin', 'sekisho.js')]);
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'close');
  const said: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
  await Promise.race([once(child.stdout, 'data'), ended]);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [3, null]);
  assert.equal(said.join(''), 'ready\ndrained\n');
});
