import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type EndureReport, endure } from '../../scripts/endure/endure-plan.ts';
import type { PhaseReport } from '../../scripts/endure/phases.ts';
import { openScene, type Scene } from '../../scripts/endure/scene.ts';
import { needs } from '../support/programs.ts';

// A short run of `npm run endure`, which does the same a hundred times over.
const skip = process.platform === 'linux' ? needs('haproxy') : 'needs Linux';
const PLAN = {
  quietMs: 500,
  reloads: 2,
  restarts: 2,
  workerKills: 2,
  groupKills: 1,
  soakMinutes: 0,
};
let scene: Scene;
let report: EndureReport;

before(async () => {
  if (skip !== false) return;
  scene = await openScene({ workers: 2, rate: 40, drain: { noticeMs: 500, limitMs: 500 } });
  report = await endure(scene, PLAN, () => {});
});

after(() => scene?.close(false));

function phase(name: string): PhaseReport {
  const found = report.phases.find(({ phase }) => phase === name);
  assert.ok(found, `${name} is no phase`);
  assert.ok(found.done.request > 0 && found.done['long tunnel'] > 0, 'there was load');
  return found;
}

for (const name of ['reloads', 'restarts']) {
  test(`behind a balancer, ${name} of one gateway after the other fail no request and no tunnel`, {
    skip,
  }, () => {
    assert.deepEqual(phase(name).failures, []);
  });
}

for (const [name, killed] of [
  ['worker kills', 'worker that is killed'],
  ['group kills', 'gateway that is killed as a whole'],
] as const) {
  test(`a ${killed} takes no connection with it but its own`, { skip }, () => {
    assert.deepEqual(phase(name).failures, []);
  });
}

test('what an upstream saw is on record, through reloads, restarts and kills', { skip }, () => {
  assert.ok(report.seen > 0);
  assert.deepEqual(report.unrecorded, []);
});

test('the records of both gateways verify, with their anchors and their key', { skip }, () => {
  assert.deepEqual(
    report.verified.map(({ gateway, problems }) => [gateway, problems]),
    [
      ['one', []],
      ['two', []],
    ],
  );
  for (const { checkpoints } of report.verified) assert.ok(checkpoints > 0);
});
