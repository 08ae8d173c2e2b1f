import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { verifyAudit } from '../../src/audit/verify.ts';
import { listeningPort, RawClient, run, statusOf } from '../support/clients.ts';
import { mountDisk } from '../support/disks.ts';
import { startTestGateway } from '../support/gateway.ts';
import { ROOT } from '../support/sources.ts';
import { startHttpUpstream, type Upstream } from '../support/upstreams.ts';

// The full disk is in audit.test.ts, the slow one in group-commit.test.ts.
let upstream: Upstream;

before(async () => {
  upstream = await startHttpUpstream();
});

after(() => upstream.close());

const POLICY = (dataDir: string) => `
gateway: { dataDir: ${dataDir}, workers: 1 }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`;

function ask(port: number, path: string): RawClient {
  const host = `api.localhost:${upstream.port}`;
  return new RawClient(port).send(
    `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  );
}

test('with the disk gone read-only under it nothing passes, and a start there says why', async (t) => {
  const disk = await mountDisk(t, 'real');
  if (disk === undefined) return;
  const yaml = POLICY(join(disk, 'var'));
  const gateway = await startTestGateway(yaml);
  assert.equal(statusOf(await ask(gateway.port, '/before').all()), 200);
  // What the kernel does when a disk fails: the files that are open can no longer be written.
  const aborted = await run('mount', ['-o', 'remount,abort', disk]);
  assert.equal(aborted.code, 0, aborted.stderr);
  const seen = upstream.requests.length;
  for (let i = 0; i < 20; i++) {
    const answer = await ask(gateway.port, '/after').all();
    assert.match(answer, /^HTTP\/1\.1 503 Service Unavailable: audit-unavailable/);
  }
  assert.equal(upstream.requests.length, seen, 'no request went out unrecorded');
  const told = gateway.log().split('the audit record cannot be written').length - 1;
  assert.equal(told, 1);
  assert.match(gateway.log(), /EROFS/);
  await gateway.stop();
  await assert.rejects(startTestGateway(yaml), {
    code: 'audit-unavailable',
    message: /EROFS.*mount it writable/,
  });
});

test('while the disk hangs nothing passes; once it goes on everything does', async (t) => {
  const disk = await mountDisk(t, 'real');
  if (disk === undefined) return;
  const file = join(disk, 'sekisho.yaml');
  await writeFile(file, `version: 1\nadmin: { bind: "127.0.0.1:0" }\n${POLICY(disk)}`);
  const args = [join(ROOT, 'bin/sekisho.js'), 'run', '-c', file];
  const gateway = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => gateway.kill('SIGKILL'));
  const port = await listeningPort(gateway.stderr);
  gateway.stderr.resume();
  assert.equal(statusOf(await ask(port, '/before').all()), 200);

  assert.equal((await run('fsfreeze', ['-f', disk])).code, 0);
  t.after(() => run('fsfreeze', ['-u', disk]));
  const paths = Array.from({ length: 50 }, (_, i) => `/hung/${i}`);
  const answers = paths.map((path) => ask(port, path).all());
  while (!(await isWaitingForDisk(gateway.pid as number))) await setImmediate();
  assert.equal(seenBelow('/hung').length, 0, 'no request went out unrecorded');

  assert.equal((await run('fsfreeze', ['-u', disk])).code, 0);
  for (const answer of await Promise.all(answers)) assert.equal(statusOf(answer), 200);
  assert.deepEqual(seenBelow('/hung').sort(), [...paths].sort());
  const ended = once(gateway, 'exit');
  gateway.kill('SIGINT');
  await ended;
  const dir = join(disk, 'audit');
  const found = await verifyAudit({ dir, anchors: undefined, keys: [], progress() {} });
  assert.deepEqual(found.problems, []);
});

function seenBelow(path: string): string[] {
  return upstream.requests.map(({ url }) => url).filter((url) => url.startsWith(path));
}

/** Whether a process, or one below it, waits where no signal reaches it: for a disk. */
async function isWaitingForDisk(pid: number): Promise<boolean> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const pids = [pid, ...children.split(' ').filter(Boolean).map(Number)];
  for (const one of pids) {
    const [, state] = /\) (\w) /.exec(await readFile(`/proc/${one}/stat`, 'utf8')) ?? [];
    if (state === 'D') return true;
  }
  return false;
}
