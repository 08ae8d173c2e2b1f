import assert from 'node:assert/strict';
import { test } from 'node:test';
import pc from 'picocolors';
import type { ReloadEvent } from '../audit/event.ts';
import { eventLine } from './event-line.ts';

const RELOAD: ReloadEvent = {
  type: 'reload',
  time: '2026-11-26T11:51:21.881Z',
  gateway: 'gw',
  from: 'sha256:a',
  to: 'sha256:b',
  count: 2,
  differences: [],
  ended: 1,
};

test('a reload that changed nothing is not called a new policy', () => {
  const line = (event: ReloadEvent) => eventLine(event, pc.createColors(false)).slice(19);
  assert.equal(line(RELOAD), '~ new policy sha256:b: 2 differences, 1 tunnels ended');
  assert.equal(
    line({ ...RELOAD, from: 'sha256:b', count: 0, ended: 0 }),
    '~ read again, the same policy sha256:b: 0 differences, 0 tunnels ended',
  );
});
