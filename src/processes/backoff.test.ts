import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from './backoff.ts';

test('the first death is followed at once, then ever later up to half a minute', () => {
  const backoff = new Backoff();
  const delays = Array.from({ length: 10 }, () => backoff.next(100));
  assert.deepEqual(delays.slice(0, 4), [0, 250, 500, 1000]);
  assert.equal(delays.at(-1), 30_000);
});

test('a life of some length makes good for earlier deaths', () => {
  const backoff = new Backoff();
  for (let i = 0; i < 5; i++) backoff.next(0);
  assert.equal(backoff.next(60_000), 0);
});
