import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { RawClient, statusOf } from '../support/clients.ts';
import { startHttpUpstream } from '../support/upstreams.ts';

/** A disk that is as slow as the test wants: what was asked of it, and who waits for its answer. */
const disk = { isSlow: false, syncs: 0, waiting: [] as ((error: Error | null) => void)[] };
const { fdatasync } = fs;

function slowSync(fd: number, done: (error: Error | null) => void): void {
  disk.syncs++;
  if (disk.isSlow) disk.waiting.push(done);
  else fdatasync(fd, done);
}

function answer(error: Error | null): void {
  for (const done of disk.waiting.splice(0)) done(error);
}

// Before anything is loaded that syncs.
Object.assign(fs, { fdatasync: slowSync });
syncBuiltinESMExports();
const { startTestGateway } = await import('../support/gateway.ts');

const EXCHANGES = 200;

/** A gateway that waits for its disk, an upstream behind it, and clients that ask for that. */
async function start(t: TestContext) {
  const upstream = await startHttpUpstream();
  t.after(() => upstream.close());
  const gateway = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
audit: { durability: fsync }
`);
  t.after(() => gateway.stop());
  const host = `api.localhost:${upstream.port}`;
  const ask = () =>
    new RawClient(gateway.port).send(
      `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
  const decisions = async () => (await gateway.recorded()).split('{"type":"decision"').length - 1;
  return { upstream, ask, decisions };
}

test('on a slow disk exchanges wait for their record, and all that wait share one sync', async (t) => {
  const { upstream, ask, decisions } = await start(t);
  disk.isSlow = true;
  const first = ask();
  while (disk.waiting.length === 0) await setImmediate();
  const [before, others] = [disk.syncs, Array.from({ length: EXCHANGES }, ask)];
  while ((await decisions()) <= EXCHANGES) await setImmediate();
  assert.equal(disk.syncs, before, 'one is under way, so none is begun');
  assert.equal(upstream.requests.length, 0, 'written is not yet on disk');

  answer(null);
  while (upstream.requests.length === 0 || disk.waiting.length === 0) await setImmediate();
  assert.equal(disk.syncs, before + 1, 'one for all that came meanwhile');
  assert.equal(upstream.requests.length, 1, 'the first alone is on disk');

  disk.isSlow = false;
  answer(null);
  for (const client of [first, ...others]) assert.equal(statusOf(await client.all()), 200);
  assert.equal(upstream.requests.length, EXCHANGES + 1);
});

test('a sync that fails lets none of those pass that waited for it', async (t) => {
  const { upstream, ask } = await start(t);
  disk.isSlow = true;
  const clients = Array.from({ length: 20 }, ask);
  const answers = Promise.all(clients.map((client) => client.until(/\r\n\r\n/)));
  const broken = setInterval(() => answer(new Error('EIO')), 1);
  for (const head of await answers) assert.match(head, / 503 .*audit-unavailable/);
  clearInterval(broken);
  assert.equal(upstream.requests.length, 0);
  disk.isSlow = false;
  answer(null);
  assert.equal(statusOf(await ask().all()), 200);
});
