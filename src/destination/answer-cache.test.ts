import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerCache } from './answer-cache.ts';

test('the oldest entry makes room when the cache is full', () => {
  const cache = new AnswerCache<number>(2, () => 0);
  cache.set('a', 1, 10);
  cache.set('b', 2, 10);
  cache.set('a', 3, 10);
  cache.set('c', 4, 10);
  assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c')], [3, undefined, 4]);
  assert.equal(cache.size, 2);
});

test('an entry ends with its time, and its place is free', () => {
  let now = 0;
  const cache = new AnswerCache<number>(2, () => now);
  cache.set('a', 1, 10);
  now = 9;
  assert.equal(cache.get('a'), 1);
  now = 10;
  assert.equal(cache.get('a'), undefined);
  assert.equal(cache.size, 0);
});
