import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadText } from '../support/config.ts';
import { needs } from '../support/programs.ts';
import { ROOT } from '../support/sources.ts';

const page = readFileSync(join(ROOT, 'docs/install.md'), 'utf8');
const [, balancer = ''] = /^```haproxy\n([\s\S]*?)^```/m.exec(page) ?? [];

test('HAProxy finds no fault in the balancer of docs/install.md, nor anything to warn of', {
  skip: needs('haproxy'),
}, (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-balancer-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'haproxy.cfg'), balancer);
  const { status, stdout, stderr } = spawnSync('haproxy', ['-c', '-f', join(dir, 'haproxy.cfg')], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(`${stdout}${stderr}`, /WARNING|ALERT/);
});

test('the balancer of docs/install.md moves away within drain.notice, and outlasts timeouts.idle', () => {
  const { gateway, listeners } = loadText(
    'listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:3128" } }',
  ).config;
  const [, seconds, fall] = /inter (\d+)s fall (\d+)/.exec(balancer) ?? [];
  assert.ok(Number(seconds) * Number(fall) * 1_000 < gateway.drain.noticeMs);
  const idleMs = listeners[0]?.timeouts.idleMs ?? Number.NaN;
  for (const side of ['client', 'server']) {
    const [, minutes] = new RegExp(`timeout ${side} (\\d+)m`).exec(balancer) ?? [];
    assert.ok(Number(minutes) * 60_000 > idleMs, side);
  }
});
