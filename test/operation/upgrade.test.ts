import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { packCheckout } from '../support/checkout.ts';
import { runHere } from '../support/npm.ts';
import { needs } from '../support/programs.ts';
import { upgradeUnderLoad } from '../support/rolling-upgrade.ts';
import { ROOT } from '../support/sources.ts';

/** Unpacks the package as another version of itself. `scripts/upgrade-under-load.ts` takes two that are. */
function install(tarball: string, folder: string, version: string): string {
  mkdirSync(folder);
  runHere(folder, 'tar', '-xzf', tarball, '--strip-components=1');
  const file = join(folder, 'package.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...manifest, version }));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

test('two gateways behind HAProxy are upgraded one after the other: no request fails, both records are whole', {
  skip: needs('haproxy'),
}, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-upgrade-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const tarball = packCheckout(dir);
  const { tally, records, outcomes } = await upgradeUnderLoad({
    dir,
    from: install(tarball, join(dir, 'before'), '0.1.0'),
    to: install(tarball, join(dir, 'after'), '0.2.0'),
    clients: 4,
    pauseMs: 20,
    between: { requests: 60, tunnels: 6 },
  });
  assert.deepEqual(tally.failures, []);
  for (const { code, text } of records) {
    assert.equal(code, 0, text);
    assert.match(text, /^whole: /m);
  }
  const recorded = outcomes.reduce((sum, count) => sum + count);
  assert.equal(recorded, tally.requests + tally.tunnels);
  t.diagnostic(`${tally.requests} requests, ${tally.tunnels} tunnels, ${tally.resent} sent again`);
});
