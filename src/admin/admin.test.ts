import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { openRecord } from '../../test/support/record.ts';
import { RecentExchanges } from '../audit/recent.ts';
import { AuditTrail } from '../audit/trail.ts';
import { Secret } from '../core/secret.ts';
import { joinSnapshots, METRICS_CONTENT_TYPE } from '../metrics/snapshot.ts';
import { WorkerMetrics } from '../metrics/worker.ts';
import { type AdminParts, startAdmin } from './admin.ts';
import { startHealth } from './health.ts';
import type { GatewayStatus } from './status.ts';
import type { WhyReport } from './why.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const TOKEN = 'the-admin-token';
const KNOWN = '0190a7c2-0000-7000-8000-000000000000';

async function start(t: TestContext, given: Partial<AdminParts> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-admin-'));
  const log = { info() {}, error() {} };
  const meter = {
    linesWritten() {},
    linesLost() {},
    checkpointTaken() {},
    checkpointFailed() {},
    checkpointCopyFailed() {},
  };
  const writer = await openRecord({
    dir,
    gateway: 'tokyo-1',
    policy: 'sha256:5e15',
    durability: 'write',
    keepMs: Number.MAX_SAFE_INTEGER,
    checkpoint: undefined,
    now: Date.now,
    log,
    meter,
  });
  const admin = await startAdmin(LOOPBACK, {
    token: () => new Secret('token', TOKEN),
    readiness: () => [],
    metrics: {
      contentType: METRICS_CONTENT_TYPE,
      text: async () => joinSnapshots([await new WorkerMetrics('worker-1').snapshot()]),
    },
    trail: new AuditTrail(dir, new RecentExchanges(), Date.now),
    why: async (id) => (id === KNOWN ? ({ id, summary: 'Allowed.' } as WhyReport) : undefined),
    status: () => ({ gateway: 'tokyo-1' }) as GatewayStatus,
    log,
    ...given,
  });
  t.after(async () => {
    await admin.close();
    await writer.close();
    rmSync(dir, { recursive: true });
  });
  const get = (path: string, token: string | undefined = TOKEN) =>
    fetch(`http://127.0.0.1:${admin.bind.port}${path}`, {
      headers: token === '' ? {} : { authorization: `Bearer ${token}` },
    });
  return { admin, writer, get };
}

const event = (type: string, note: number) =>
  `${JSON.stringify({ type, time: new Date().toISOString(), note })}\n`;

test('everything but health needs the token', async (t) => {
  const { get } = await start(t);
  const paths = ['/metrics', '/v1/status', `/v1/why/${KNOWN}`, '/v1/audit/tail', '/', '/nowhere'];
  for (const path of paths) {
    for (const token of ['', 'wrong', `${TOKEN}x`]) {
      const response = await get(path, token);
      assert.equal(response.status, 401, path);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/);
      assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
    }
  }
  assert.equal((await get('/healthz', '')).status, 200);
  assert.equal((await get('/readyz', '')).status, 200);
  assert.equal((await get('/nowhere')).status, 404);
});

test('readiness names what fails', async (t) => {
  const checks = [
    { name: 'listeners', ok: true },
    { name: 'audit', ok: true },
  ];
  const { get } = await start(t, { readiness: () => checks });
  assert.deepEqual(await (await get('/readyz')).json(), { status: 'ready' });
  checks[1] = { name: 'audit', ok: false };
  const response = await get('/readyz');
  assert.equal(response.status, 503);
  assert.deepEqual(await response.json(), { status: 'not ready', failing: ['audit'] });
});

test('the health listener knows nothing but health', async (t) => {
  const health = await startHealth(LOOPBACK, () => []);
  t.after(() => health.close());
  const get = (path: string) => fetch(`http://127.0.0.1:${health.bind.port}${path}`);
  assert.equal((await get('/healthz')).status, 200);
  assert.equal((await get('/readyz')).status, 200);
  assert.equal((await get('/metrics')).status, 404);
});

test('metrics, status and why are answered', async (t) => {
  const { get } = await start(t);
  const metrics = await get('/metrics');
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(await metrics.text(), /^# HELP sekisho_exchanges_total /m);
  assert.deepEqual(await (await get('/v1/status')).json(), { gateway: 'tokyo-1' });
  assert.deepEqual(await (await get(`/v1/why/${KNOWN}`)).json(), {
    id: KNOWN,
    summary: 'Allowed.',
  });
  assert.equal((await get('/v1/why/unknown')).status, 404);
});

test('the tail gives the last events, of the types that were asked for', async (t) => {
  const { get, writer } = await start(t);
  for (let i = 0; i < 20; i++) await writer.write(event(i % 2 ? 'outcome' : 'decision', i));
  const notes = async (query: string) => {
    const response = await get(`/v1/audit/tail${query}`);
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
    const lines = (await response.text()).split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line).note);
  };
  assert.deepEqual(await notes('?n=3'), [17, 18, 19]);
  assert.deepEqual(await notes('?n=2&types=outcome&types=suppressed'), [17, 19]);
  assert.equal((await notes('')).length, 10);
  assert.equal((await get('/v1/audit/tail?n=many')).status, 400);
  assert.equal((await get('/v1/audit/tail?m=1')).status, 400);
});

test('the tail follows until its reader goes, and holds up nobody', async (t) => {
  const { get, writer, admin } = await start(t);
  await writer.write(event('outcome', 1));
  const response = await get('/v1/audit/tail?n=1&follow=1');
  const body = Readable.fromWeb(response.body as never);
  const notes: number[] = [];
  for await (const line of createInterface(body)) {
    notes.push(JSON.parse(line).note);
    if (notes.length === 3) break;
    await writer.write(event('outcome', notes.length + 1));
  }
  assert.deepEqual(notes, [1, 2, 3]);
  body.destroy();
  const left = await get('/v1/audit/tail?follow=1');
  await admin.close();
  await assert.rejects(left.text());
});

test('a reader who leaves while nothing happens is not followed any longer', async (t) => {
  const left = Promise.withResolvers<void>();
  const { get } = await start(t, {
    trail: {
      async *tail({ follow }) {
        yield '{}';
        await new Promise((resolve) => follow?.addEventListener('abort', resolve));
        left.resolve();
      },
    },
  });
  const { body } = await get('/v1/audit/tail?follow=1');
  const reader = body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await left.promise;
});

test('a fault of ours is logged, not shown', async (t) => {
  const told: string[] = [];
  const { get } = await start(t, {
    status: () => {
      throw new Error('/etc/internal');
    },
    log: { error: (_, message) => void told.push(message) },
  });
  const response = await get('/v1/status');
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /internal/);
  assert.deepEqual(told, ['the admin API failed']);
});

test('an address that is taken is told with its key', async (t) => {
  const { admin } = await start(t);
  await assert.rejects(
    startHealth({ host: '127.0.0.1', port: admin.bind.port }, () => []),
    {
      code: 'listen-failed',
      message: /^gateway\.health cannot listen on 127\.0\.0\.1:\d+: another process listens there/,
    },
  );
});
