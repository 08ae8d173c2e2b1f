import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packCheckout } from './support/checkout.ts';
import { listeningPort, RawClient } from './support/clients.ts';
import { PLAIN_ENV, runHere } from './support/npm.ts';
import { ROOT } from './support/sources.ts';

const work = mkdtempSync(join(tmpdir(), 'sekisho-package-'));
const consumer = join(work, 'consumer');
after(() => rmSync(work, { recursive: true, force: true }));

before(() => {
  const tarball = packCheckout(work);
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  runHere(consumer, 'npm', 'install', '--omit=dev', '--prefer-offline', '--no-audit', tarball);
});

test('an installed package starts without a compiler', () => {
  assert.match(runHere(consumer, 'npx', '--no-install', 'sekisho', '--help'), /^Usage: sekisho /);
  const schema = JSON.parse(runHere(consumer, 'npx', '--no-install', 'sekisho', 'schema'));
  assert.equal(schema.title, 'Sekisho configuration');
  assert.ok(!existsSync(join(consumer, 'node_modules', '.bin', 'tsc')));
});

test('the package holds what runs and what explains it, and no sources', () => {
  const shipped = readdirSync(join(consumer, 'node_modules', 'sekisho'), { recursive: true })
    .map(String)
    .filter((path) => !path.startsWith('node_modules'));
  assert.ok(shipped.includes(join('dist', 'cli', 'main.js')));
  assert.ok(shipped.includes(join('dist', 'core', 'reasons.d.ts')));
  assert.ok(shipped.includes(join('docs', 'errors.md')));
  assert.ok(shipped.includes('LICENSE'));
  assert.deepEqual(
    shipped.filter((path) => /\.test\.|(?<!\.d)\.ts$|\.map$/.test(path)),
    [],
  );
});

test('the installed package runs a gateway', async () => {
  writeFileSync(
    join(consumer, 'sekisho.yaml'),
    `version: 1
admin: { bind: "127.0.0.1:0" }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
`,
  );
  const gateway = spawn(join(consumer, 'node_modules/.bin/sekisho'), ['run'], {
    cwd: consumer,
    env: PLAIN_ENV,
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const client = new RawClient(await listeningPort(gateway.stderr));
  client.send('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
  assert.match(await client.all(), /^HTTP\/1\.1 407 [^\r]*no-identity/);
  gateway.kill('SIGINT');
  assert.deepEqual(await once(gateway, 'exit'), [0, null]);
});

test('a program that imports the package type-checks', () => {
  writeFileSync(
    join(consumer, 'use.ts'),
    `import { type Gateway, createLogger, load, startGateway } from 'sekisho';
const log = createLogger(process.stderr);
const gateway: Gateway = await startGateway(load('sekisho.yaml'), { env: process.env, log });
await gateway.stop();
`,
  );
  const modules = join(ROOT, 'node_modules');
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--target',
    'es2024',
  ];
  const types = ['--types', 'node', '--typeRoots', join(modules, '@types')];
  runHere(consumer, join(modules, '.bin/tsc'), ...options, ...types, 'use.ts');
});
