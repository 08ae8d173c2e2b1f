import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listeningPort, RawClient } from './support/clients.ts';
import { ROOT } from './support/sources.ts';

const work = mkdtempSync(join(tmpdir(), 'sekisho-package-'));
const consumer = join(work, 'consumer');
after(() => rmSync(work, { recursive: true, force: true }));

/** Packs a copy: a build removes `dist`, which somebody may be running in the checkout. */
function pack(): string {
  const copy = join(work, 'checkout');
  const left = new Set(['node_modules', '.git', 'dist', 'var', 'coverage', 'release']);
  mkdirSync(copy);
  for (const name of readdirSync(ROOT).filter((entry) => !left.has(entry))) {
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  run(copy, 'npm', 'pack', '--silent', '--pack-destination', work);
  const tarball = readdirSync(work).find((name) => name.endsWith('.tgz'));
  assert.ok(tarball, 'npm pack wrote a tarball');
  return join(work, tarball);
}

/** As in a shell of its own: without what the npm that runs these tests tells its children. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')),
);

function run(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

before(() => {
  const tarball = pack();
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  run(consumer, 'npm', 'install', '--omit=dev', '--prefer-offline', '--no-audit', tarball);
});

test('an installed package starts without a compiler', () => {
  assert.match(run(consumer, 'npx', '--no-install', 'sekisho', '--help'), /^Usage: sekisho /);
  const schema = JSON.parse(run(consumer, 'npx', '--no-install', 'sekisho', 'schema'));
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
    env,
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
  run(consumer, join(modules, '.bin/tsc'), ...options, ...types, 'use.ts');
});
