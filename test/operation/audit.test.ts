import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { RawClient, run, statusOf } from '../support/clients.ts';
import { mountDisk } from '../support/disks.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { ROOT } from '../support/sources.ts';
import { startHttpUpstream, type Upstream } from '../support/upstreams.ts';

let upstream: Upstream;

before(async () => {
  upstream = await startHttpUpstream();
});

after(() => upstream.close());

const POLICY = () => `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`;

async function ask({ port }: TestGateway, path = '/'): Promise<string> {
  const authority = `api.localhost:${upstream.port}`;
  const client = new RawClient(port);
  client.send(`GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const head = await client.until(/\r\n\r\n/);
  client.close();
  return head;
}

const PRIVATE_KEY = generateKeyPairSync('ed25519').privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});

function sekisho(...args: string[]) {
  return run(process.execPath, [join(ROOT, 'bin/sekisho.js'), ...args]);
}

test('the record of a gateway is signed, copied, verified, searched and exported', async () => {
  const copies = await mkdtemp(join(tmpdir(), 'sekisho-copies-'));
  const gateway = await startTestGateway(
    `${POLICY()}
audit:
  checkpoint: { key: { file: audit.key }, copyTo: ${copies} }
  also: [{ squidLog: access.log }]
`,
    { files: { 'audit.key': String(PRIVATE_KEY) } },
  );
  const { dir, file } = gateway;
  assert.equal(statusOf(await ask(gateway, '/one')), 200);
  await gateway.outcome();
  await gateway.gateway.reopenLogs();
  await gateway.gateway.stop({ notice: false });

  const verified = await sekisho('audit', 'verify', '-c', file, '--json');
  assert.equal(verified.code, 0, verified.stderr);
  const { ok, checkpoints } = JSON.parse(verified.stdout);
  assert.equal(ok, true);
  assert.equal((await readdir(copies)).length, checkpoints);
  const found = await sekisho('audit', 'search', '-c', file, '--principal', 'local');
  assert.match(found.stdout, /✓ local +GET +api\.localhost:\d+\/one/);
  const csv = await sekisho('audit', 'export', '-c', file, '--format', 'csv');
  assert.match(csv.stdout, /^time,type,exchange,.*\r\n[^\n]*,outcome,[^\n]*,local,[^\n]*\r\n$/);
  assert.match(
    await readFile(join(dir, 'access.log'), 'utf8'),
    /^\d+\.\d{3} +\d+ 127\.0\.0\.1 TCP_MISS\/200 \d+ GET http:\/\/api\.localhost:\d+\/one local HIER_DIRECT\/127\.0\.0\.1 -\n$/,
  );

  const audit = join(dir, 'var/audit');
  const [segment = ''] = (await readdir(audit)).filter((name) => name !== 'checkpoints.jsonl');
  const text = await readFile(join(audit, segment), 'utf8');
  await writeFile(join(audit, segment), text.replace('/one', '/two'));
  const damaged = await sekisho('audit', 'verify', '-c', file);
  assert.equal(damaged.code, 1);
  assert.match(
    damaged.stdout,
    new RegExp(`^${segment}:2: the line does not follow.*before checkpoint`),
  );
  await gateway.stop();
  await rm(copies, { recursive: true });
});

test('with the disk full nothing passes; with room again everything does, and the record is whole', async (t) => {
  const dataDir = await mountDisk(t, 'small');
  if (dataDir === undefined) return;
  const gateway = await startTestGateway(`gateway: { dataDir: ${dataDir} }\n${POLICY()}`);
  const full = join(dataDir, 'full');
  for (let time = 0; time < 3; time++) {
    await writeFile(full, Buffer.alloc(2 ** 21)).catch(() => undefined);
    let head = await ask(gateway);
    // The last page of the segment still takes some lines.
    while (statusOf(head) === 200) head = await ask(gateway);
    assert.match(head, /^HTTP\/1\.1 503 Service Unavailable: audit-unavailable/);
    const seen = upstream.requests.length;
    for (let i = 0; i < 20; i++) assert.equal(statusOf(await ask(gateway)), 503);
    assert.equal(upstream.requests.length, seen, 'no request went out unrecorded');
    await rm(full);
    assert.equal(statusOf(await ask(gateway)), 200);
  }
  const times = (text: string) => gateway.log().split(text).length - 1;
  while (times('can be written again') < 3) await setImmediate();
  assert.equal(times('the audit record cannot be written'), 3, 'told once each time');
  await gateway.gateway.stop({ notice: false });
  const verified = await sekisho('audit', 'verify', '--dir', join(dataDir, 'audit'));
  assert.match(verified.stdout, /whole: 1 segments/);
  await mkdir(join(gateway.dir, 'var'), { recursive: true });
  await gateway.stop();
});
