import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AuditEvent } from '../../src/audit/event.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { listeningPort, RawClient } from '../support/clients.ts';
import { ROOT } from '../support/sources.ts';
import { startHttpUpstream } from '../support/upstreams.ts';

const CLIENTS = 16;
const KILL_AFTER = 300;

test('SIGKILL of the whole process group under load: every request that the upstream saw has its decision on record', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-kill-'));
  const enough = Promise.withResolvers<void>();
  const upstream = await startHttpUpstream((_request, response) => {
    response.end('hello');
    if (upstream.requests.length >= KILL_AFTER) enough.resolve();
  });
  await writeFile(
    join(dir, 'sekisho.yaml'),
    `
version: 1
gateway: { workers: 2 }
admin: { bind: "127.0.0.1:0" }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`,
  );
  const gateway = spawn(
    process.execPath,
    [join(ROOT, 'bin/sekisho.js'), 'run', '-c', join(dir, 'sekisho.yaml')],
    {
      // A group of its own.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const port = await listeningPort(gateway.stderr);
  const load = Array.from({ length: CLIENTS }, (_, i) => sendUntilCut(port, upstream.port, i));
  await enough.promise;
  process.kill(-(gateway.pid as number), 'SIGKILL');
  await once(gateway, 'exit');
  await Promise.all(load);
  await upstream.close();

  const decided = await readDecisions(join(dir, 'var/audit'));
  const recorded = new Set(decided.map(({ path }) => path));
  assert.ok(upstream.requests.length >= KILL_AFTER);
  for (const { url } of upstream.requests)
    assert.ok(recorded.has(url), `${url} reached the upstream unrecorded`);
  assert.ok(new Set(decided.map(({ file }) => file)).size > 1, 'more than one worker served');
  const audit = join(dir, 'var/audit');
  const found = await verifyAudit({ dir: audit, anchors: undefined, keys: [], progress() {} });
  assert.deepEqual(found.problems, []);
  await rm(dir, { recursive: true });
});

/** Requests with paths of their own on kept-alive connections, until the gateway is gone. */
async function sendUntilCut(port: number, upstreamPort: number, client: number): Promise<void> {
  const host = `api.localhost:${upstreamPort}`;
  const connection = new RawClient(port);
  try {
    for (let i = 1; ; i++) {
      connection.send(`GET http://${host}/${client}/${i} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await connection.times('hello', i);
      if (i >= KILL_AFTER) return;
    }
  } catch {
    connection.close(); // cut, as it was meant to be
  }
}

/** Every decision in a whole line; a torn last one may be there after a kill. */
async function readDecisions(dir: string): Promise<{ file: string; path: string | undefined }[]> {
  const found: { file: string; path: string | undefined }[] = [];
  for (const file of await readdir(dir)) {
    const lines = (await readFile(join(dir, file), 'utf8')).split('\n');
    for (const line of lines.slice(0, -1)) {
      const event = JSON.parse(line) as AuditEvent;
      if (event.type === 'decision') found.push({ file, path: event.path });
    }
  }
  return found;
}
