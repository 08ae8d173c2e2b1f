import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway } from '../support/gateway.ts';
import { ROOT } from '../support/sources.ts';
import { startHttpUpstream } from '../support/upstreams.ts';

test('a gateway follows published ranges by a file that a target writes, without a restart', async (t) => {
  const upstream = await startHttpUpstream();
  t.after(() => upstream.close());
  const gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ header: { name: X-Id, value: { literal: one } } }] } }
sets:
  published: { ranges: { file: published.txt } }
  followed: { hosts: { file: followed.txt } }
rules: [{ name: r, allow: [local], to: [followed], ports: [${upstream.port}] }]
ranges: { targets: { here: { set: published, file: { path: followed.txt, format: plain } } } }
`,
    { files: { 'published.txt': '198.51.100.0/24\n', 'followed.txt': '' } },
  );
  t.after(() => gateway.stop());
  const ask = async () => {
    const authority = `127.0.0.1:${upstream.port}`;
    const client = new RawClient(gateway.port);
    client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Id: one\r\n\r\n`);
    const status = statusOf(await client.until(/\r\n\r\n/));
    client.close();
    return status;
  };
  const apply = async (list: string) => {
    const reloaded = new Promise<void>((resolve) => {
      gateway.gateway.onAuditEvent((event) => {
        if (event.type === 'reload') resolve();
      });
    });
    await writeFile(join(gateway.dir, 'published.txt'), list);
    const args = ['ranges', 'apply', '--accept-shrink', '-c', gateway.file];
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, 'bin/sekisho.js'), ...args],
      {
        encoding: 'utf8',
      },
    );
    assert.equal(status, 0, stderr);
    await reloaded;
  };
  assert.equal(await ask(), 403);
  await apply('127.0.0.1/32\n198.51.100.0/24\n');
  assert.equal(await ask(), 200);
  await apply('198.51.100.0/24\n');
  assert.equal(await ask(), 403);
});
