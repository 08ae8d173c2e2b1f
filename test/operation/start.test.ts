import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../support/clients.ts';
import { mountDisk } from '../support/disks.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { freePort } from '../support/servers.ts';
import { ROOT } from '../support/sources.ts';

async function newDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-start-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function start(dir: string, yaml: string) {
  const file = join(dir, 'sekisho.yaml');
  await writeFile(file, `version: 1\n${yaml}`);
  return run(process.execPath, [join(ROOT, 'bin/sekisho.js'), 'run', '-c', file], {
    env: { UNSET_SECRET: undefined },
  });
}

test('a start that fails names every fault at once, each with its remedy, and leaves nothing behind', async (t) => {
  const dir = await newDir(t);
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  await writeFile(join(dir, 'gw.crt'), 'no certificate');
  const { code, stderr } = await start(
    dir,
    `
admin: { bind: "127.0.0.1:0" }
gateway: { health: "192.0.2.1:9091" }
listeners:
  egress: { type: forward-proxy, bind: "127.0.0.1:${port}" }
  secure: { type: forward-proxy, bind: "127.0.0.1:0", tls: { certificate: { file: gw.crt }, key: { file: gw.key } } }
principals: { local: { identify: [{ bearer: { token: { env: UNSET_SECRET } } }] } }
rules: []
audit: { checkpoint: { key: { file: gone.key } }, also: [{ squidLog: gone/access.log }] }
`,
  );
  assert.equal(code, 1);
  const faults = [
    /the secret env UNSET_SECRET is missing; set UNSET_SECRET/,
    /gone\.key cannot be read as an Ed25519 private key in PEM \(ENOENT\); make one with/,
    /the log \S+gone\/access\.log cannot be written: ENOENT/,
    new RegExp(`listener egress cannot listen on 127.0.0.1:${port}: another process listens there`),
    /the certificate \S+gw\.crt and the key \S+gw\.key cannot be used: .*gw\.key/,
    /gateway\.health cannot listen on 192\.0\.2\.1:9091: no interface of this host has that address/,
  ];
  const lines = stderr.trimEnd().split('\n');
  for (const fault of faults)
    assert.equal(lines.filter((line) => fault.test(line)).length, 1, `${fault}\n${stderr}`);
  assert.equal(lines.length, faults.length, stderr);
  assert.deepEqual(await readdir(join(dir, 'var/audit')), []);
});

test('a full disk has a sentence of its own at the start', async (t) => {
  const disk = await mountDisk(t, 'small');
  if (disk === undefined) return;
  await writeFile(join(disk, 'full'), Buffer.alloc(1020 * 1024));
  const { code, stderr } = await start(
    await newDir(t),
    `
admin: { bind: "127.0.0.1:0" }
gateway: { dataDir: ${disk} }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
rules: []
`,
  );
  assert.equal(code, 1);
  assert.match(
    stderr,
    /the audit record cannot be written in \S+audit: ENOSPC.*; make room on its disk, or set gateway\.dataDir/,
  );
});

test('`sekisho status` tells how the gateway is, for people and for programs', async (t) => {
  const port = await freePort();
  const gateway = await startGatewayProcess(
    t,
    `
admin: { bind: "127.0.0.1:${port}" }
gateway: { name: tokyo-1, workers: 2 }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
rules: []
`,
  );
  const ask = (...args: string[]) =>
    run(process.execPath, [join(ROOT, 'bin/sekisho.js'), 'status', '-c', gateway.file, ...args]);
  const { code, stdout } = await ask();
  assert.equal(code, 0);
  assert.match(stdout, /^tokyo-1 \d+\.\d+\.\d+ {2}accepting, started \d+s ago\n/);
  assert.match(stdout, new RegExp(`egress +127\\.0\\.0\\.1:${gateway.port}\n`));
  assert.match(
    stdout,
    /worker 2 +accepting {2}pid \d+, since \d+s ago, 0 connections, 0 restarts\n/,
  );
  const status = JSON.parse((await ask('--json')).stdout);
  assert.deepEqual([status.state, status.workers.length], ['accepting', 2]);
  gateway.child.kill('SIGKILL');
  await gateway.exited;
  const none = await ask();
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no gateway answers at http:\/\/127\.0\.0\.1/);
});
