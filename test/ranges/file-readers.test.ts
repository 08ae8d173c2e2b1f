import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../support/clients.ts';
import { needs } from '../support/programs.ts';
import { applyRanges, manyNetworks, targetOf } from '../support/ranges.ts';
import { freePort, startServer } from '../support/servers.ts';

/** A program that answers or refuses whoever comes from loopback, by a file that a target writes. */
interface Reader {
  readonly program: 'squid-openssl' | 'nginx-light' | 'haproxy';
  readonly format: string;
  /** Its configuration. */
  config(port: number, list: string, dir: string): string;
  /** How it is asked, and what it answers whom it lets in. */
  readonly ask: (port: number) => readonly string[];
  readonly allowed: string;
  readonly start: (config: string) => readonly string[];
  readonly check: (config: string) => readonly string[];
  readonly reload: (config: string, dir: string) => readonly string[];
}

const READERS: readonly Reader[] = [
  {
    program: 'squid-openssl',
    format: 'squid',
    config: (port, list, dir) => `http_port 127.0.0.1:${port}
include ${list}
http_access allow rds
http_access deny all
cache deny all
cache_mem 8 MB
max_filedescriptors 1024
access_log none
cache_log ${dir}/cache.log
pid_filename ${dir}/pid
coredump_dir ${dir}
pinger_enable off
visible_hostname reader.test
shutdown_lifetime 0 seconds
`,
    // The destination is not there.
    ask: (port) => ['-x', `http://127.0.0.1:${port}`, 'http://127.0.0.1:1/'],
    allowed: '503',
    start: (config) => ['squid', '-N', '-f', config],
    check: (config) => ['squid', '-k', 'parse', '-f', config],
    reload: (config) => ['squid', '-k', 'reconfigure', '-f', config],
  },
  {
    program: 'nginx-light',
    format: 'nginx',
    config: (port, list, dir) => `daemon off;
worker_processes 1;
pid ${dir}/pid;
error_log ${dir}/error.log;
events { worker_connections 64; }
http {
  access_log off;
  server {
    listen 127.0.0.1:${port};
    include ${list};
    deny all;
    root ${dir};
  }
}
`,
    ask: (port) => [`http://127.0.0.1:${port}/config`],
    allowed: '200',
    start: (config) => ['nginx', '-c', config],
    check: (config) => ['nginx', '-t', '-c', config],
    reload: (config) => ['nginx', '-s', 'reload', '-c', config],
  },
  {
    program: 'haproxy',
    format: 'haproxy',
    config: (port, list, dir) => `global
  pidfile ${dir}/pid
defaults
  mode http
  timeout client 5s
frontend reader
  bind 127.0.0.1:${port}
  http-request deny unless { src,map_ip(${list}) -m found }
  http-request return status 200 content-type text/plain string in
`,
    ask: (port) => [`http://127.0.0.1:${port}/`],
    allowed: '200',
    start: (config) => ['haproxy', '-W', '-f', config],
    check: (config) => ['haproxy', '-c', '-f', config],
    reload: (_config, dir) => ['sh', '-c', `kill -USR2 $(cat ${dir}/pid)`],
  },
];

for (const reader of READERS) {
  test(
    `${reader.program} loads what a target writes, checked by its own means`,
    { skip: needs(reader.program, 'curl') },
    (t) => holds(reader, t),
  );
}

async function holds(reader: Reader, t: TestContext): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-reader-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o777);
  const list = join(dir, 'list');
  const config = join(dir, 'config');
  const port = await freePort();
  await writeFile(config, reader.config(port, list, dir));
  const target = (more: string) =>
    targetOf(`file: { path: "${list}", format: ${reader.format}, ${more} }`);
  const quoted = (command: readonly string[]) => JSON.stringify(command);
  const check = `check: ${quoted(reader.check(config))}`;
  const others = [...manyNetworks(500), '2001:db8::/32'];
  await applyRanges(target(check), others);
  const [program = '', ...args] = reader.start(config);
  const server = await startServer(program, args, [port]);
  t.after(() => server.stop());
  const reload = `reload: ${quoted(reader.reload(config, dir))}`;
  await until(reader.ask(port), '403');
  await applyRanges(target(`${check}, ${reload}`), [...others, '127.0.0.0/8']);
  await until(reader.ask(port), reader.allowed);
  await applyRanges(target(`${check}, ${reload}`), others);
  await until(reader.ask(port), '403');
  const before = await readFile(list, 'utf8');
  await writeFile(config, `${reader.config(port, list, dir)}\nno such directive\n`);
  await assert.rejects(applyRanges(target(`${check}, ${reload}`), ['192.0.2.0/24']), {
    code: 'ranges-conflict',
    message: /the file is refused/,
  });
  assert.equal(await readFile(list, 'utf8'), before);
}

/** Nobody tells when a program has loaded a file: it is asked until it shows. */
async function until(ask: readonly string[], status: string): Promise<void> {
  for (;;) {
    const { stdout } = await run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', ...ask]);
    if (stdout === status) return;
    await new Promise((again) => setTimeout(again, 30));
  }
}
