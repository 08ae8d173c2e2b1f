import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadText } from '../support/config.ts';
import { needs } from '../support/programs.ts';
import { ROOT } from '../support/sources.ts';

const UNIT = join(ROOT, 'deploy/systemd/sekisho.service');
const text = readFileSync(UNIT, 'utf8');
const skip = needs('systemd');

/** In the unit's own scale, 0.0 (safe) to 10.0. */
const EXPOSURE = 1.3;

function analyze(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['--no-pager', ...args], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `systemd-analyze ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout + stderr;
}

function setting(name: string): string {
  const [, value] = new RegExp(`^${name}=(.*)$`, 'm').exec(text) ?? [];
  assert.ok(value !== undefined, `${name} is set`);
  return value;
}

test('systemd finds no fault in the unit', { skip }, (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-unit-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const unit = join(dir, 'sekisho.service');
  // As installed, but from this checkout: the program must be there.
  const here = text
    .replaceAll('/opt/sekisho/current/node_modules/.bin/node', process.execPath)
    .replaceAll('/opt/sekisho/current', ROOT);
  writeFileSync(unit, here);
  assert.equal(analyze('verify', '--man=no', unit), '');
});

test(`what the unit leaves exposed is at most ${EXPOSURE}, as the page on installing says`, {
  skip,
}, () => {
  const review = analyze('security', '--offline=true', `--threshold=${EXPOSURE * 10}`, UNIT);
  assert.match(review, new RegExp(`exposure level for sekisho.service: ${EXPOSURE} `));
  assert.match(
    readFileSync(join(ROOT, 'docs/install.md'), 'utf8'),
    new RegExp(`\\*\\*${EXPOSURE}\\*\\*`),
  );
});

test('the unit gives a gateway with default settings the time to drain and the files to serve', () => {
  const { gateway, listeners } = loadText(
    'listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:3128" } }',
  ).config;
  const seconds = Number.parseInt(setting('TimeoutStopSec'), 10);
  assert.ok(seconds * 1_000 > gateway.drain.noticeMs + gateway.drain.limitMs);
  const connections = listeners[0]?.limits.connections ?? Number.NaN;
  assert.ok(Number(setting('LimitNOFILE')) >= 3 * connections);
});
