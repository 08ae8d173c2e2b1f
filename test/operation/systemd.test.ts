import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../support/programs.ts';
import { startServiceManager } from '../support/service-manager.ts';
import { ROOT } from '../support/sources.ts';

const CONFIG = `version: 1
gateway: { drain: { notice: 0s } }
admin: { bind: "127.0.0.1:0" }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
`;

test('a gateway tells systemd when it accepts, when it reloads or refuses to, and when it drains', {
  skip: needs('systemd', 'python3'),
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-service-'));
  const manager = await startServiceManager();
  const file = join(dir, 'sekisho.yaml');
  await writeFile(file, CONFIG);
  const gateway = spawn(process.execPath, [join(ROOT, 'bin/sekisho.js'), 'run', '-c', file], {
    env: { ...process.env, NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '1000000' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.after(async () => {
    gateway.kill('SIGKILL');
    await manager.stop();
    await rm(dir, { recursive: true });
  });
  assert.deepEqual(await manager.next(), ['READY=1', 'STATUS=accepting']);

  gateway.kill('SIGHUP');
  assert.match((await manager.next()).join(' '), /^RELOADING=1 MONOTONIC_USEC=\d+$/);
  assert.deepEqual(await manager.next(), ['READY=1', 'STATUS=accepting']);
  assert.ok(manager.pings > 0);

  await writeFile(file, `${CONFIG}rules: [{}]\n`);
  gateway.kill('SIGHUP');
  assert.match((await manager.next()).join(' '), /^RELOADING=1 /);
  assert.match((await manager.next()).join(' '), /^READY=1 STATUS=accepting .* refused/);

  const exited = once(gateway, 'exit');
  gateway.kill('SIGTERM');
  assert.deepEqual(await manager.next(), ['STOPPING=1', 'STATUS=draining']);
  assert.deepEqual(await exited, [0, null]);
});
