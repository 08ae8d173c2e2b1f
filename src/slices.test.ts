import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Work } from './core/work.ts';
import { inSlices } from './slices.ts';

test('others have their turn while work is done in slices, and it comes to its end', async () => {
  let turns = 0;
  let working = true;
  const turn = () => {
    turns++;
    if (working) setImmediate(turn);
  };
  setImmediate(turn);
  /** Is done once others had ten turns, which nobody has whom it holds up. */
  function* work(): Work<string> {
    while (turns < 10) yield;
    return 'done';
  }
  assert.equal(await inSlices(work()), 'done');
  working = false;
});

test('a fault of the work is thrown, though it comes in a later slice', async () => {
  const later = performance.now() + 20;
  function* work(): Work<never> {
    while (performance.now() < later) yield;
    throw new TypeError('a fault');
  }
  await assert.rejects(inSlices(work()), new TypeError('a fault'));
});
