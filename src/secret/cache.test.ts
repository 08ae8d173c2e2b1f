import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CACHE_LIMITS, type Fetched, type Lookup, SecretCache } from './cache.ts';
import { SecretFailure } from './failure.ts';

/** A cache on a clock of the test's own, and a source whose answers it queues. */
function setUp(limits: Partial<typeof CACHE_LIMITS> = {}) {
  const clock = { ms: 0 };
  const outcomes: string[] = [];
  const cache = new SecretCache(
    {
      now: () => clock.ms,
      random: () => 0,
      meter: { read: (_source, outcome) => outcomes.push(outcome) },
      failed: () => {},
    },
    { ...CACHE_LIMITS, ...limits },
  );
  const answers: (string | SecretFailure | Promise<Fetched<string>>)[] = [];
  let fetched = 0;
  const lookup: Lookup<string> = {
    key: 'a',
    source: 'test',
    ttlMs: 1_000,
    async fetch() {
      fetched++;
      const answer = answers.shift();
      if (answer === undefined) throw new Error('the test expects no fetch');
      if (answer instanceof SecretFailure) throw answer;
      return typeof answer === 'string' ? { value: answer, version: answer } : answer;
    },
  };
  const get = async () => (await cache.get(lookup)).value;
  return { cache, clock, answers, outcomes, lookup, get, fetched: () => fetched };
}

test('a value is read once for everybody who asks at the same time, and kept for its TTL', async () => {
  const { answers, clock, get, fetched } = setUp();
  answers.push('one', 'two');
  assert.deepEqual(await Promise.all([get(), get(), get()]), ['one', 'one', 'one']);
  clock.ms = 700;
  assert.equal(await get(), 'one');
  assert.equal(fetched(), 1);
  clock.ms = 1_000;
  assert.equal(await get(), 'two');
});

test('a value is read anew before it expires, in nobody’s way', async () => {
  const { answers, clock, get, fetched } = setUp();
  const slow = Promise.withResolvers<Fetched<string>>();
  answers.push('one', slow.promise);
  await get();
  clock.ms = 760;
  assert.equal(await get(), 'one');
  assert.equal(await get(), 'one');
  assert.equal(fetched(), 2);
  slow.resolve({ value: 'two', version: '2' });
  await slow.promise;
  await new Promise(setImmediate);
  assert.equal(await get(), 'two');
});

test('nothing of a failure is kept, whatever its kind', async () => {
  for (const kind of ['denied', 'throttled', 'unavailable', 'invalid'] as const) {
    const { answers, get, outcomes, cache } = setUp();
    answers.push(new SecretFailure(kind, 'no'), 'one');
    await assert.rejects(get(), { code: kind });
    assert.equal(cache.size, 0);
    assert.equal(await get(), 'one');
    assert.deepEqual(outcomes, [kind, 'read']);
  }
});

test('that there is no such secret holds for a while', async () => {
  const { answers, clock, get, fetched } = setUp();
  answers.push(new SecretFailure('missing', 'no'), 'one');
  await assert.rejects(get(), { code: 'missing' });
  clock.ms = 29_999;
  await assert.rejects(get(), { code: 'missing' });
  assert.equal(fetched(), 1);
  clock.ms = 30_000;
  assert.equal(await get(), 'one');
});

test('the last value serves on while the source is out of reach, within a bound', async () => {
  const { answers, clock, get } = setUp();
  const unavailable = new SecretFailure('unavailable', 'no');
  answers.push('one', unavailable, unavailable, unavailable, 'two');
  await get();
  clock.ms = 1_000;
  assert.equal(await get(), 'one');
  clock.ms = 300_999;
  assert.equal(await get(), 'one');
  await new Promise(setImmediate);
  clock.ms = 301_000;
  await assert.rejects(get(), { code: 'unavailable' });
  assert.equal(await get(), 'two');
});

test('a source that fails is left alone for a moment, and nobody waits for it, while its last value serves on', async () => {
  const { answers, clock, get, fetched } = setUp({ retryMs: 100 });
  const slow = Promise.withResolvers<Fetched<string>>();
  answers.push('one', new SecretFailure('throttled', 'no'), slow.promise);
  await get();
  clock.ms = 1_000;
  for (let i = 0; i < 10; i++) assert.equal(await get(), 'one');
  assert.equal(fetched(), 2);
  clock.ms = 1_050;
  for (let i = 0; i < 10; i++) assert.equal(await get(), 'one');
  assert.equal(fetched(), 3);
  slow.resolve({ value: 'two', version: '2' });
  await slow.promise;
  await new Promise(setImmediate);
  assert.equal(await get(), 'two');
});

test('a value that a destination refused is asked for again, though its source was found failing', async () => {
  const { answers, clock, get, cache } = setUp({ refusedMs: 10 });
  answers.push('one', new SecretFailure('throttled', 'no'), 'two');
  await get();
  clock.ms = 1_000;
  assert.equal(await get(), 'one');
  assert.ok(cache.refuse('a', 'one'));
  assert.equal(await get(), 'two');
});

test('a thousand processes read anew at a thousand moments', async () => {
  const moments = new Set<number>();
  for (let process = 0; process < 1_000; process++) {
    let now = 0;
    let fetches = 0;
    const around = { now: () => now, random: Math.random, meter: { read() {} }, failed() {} };
    const cache = new SecretCache(around);
    const fetch = async () => ({ value: ++fetches, version: undefined });
    const lookup = { key: 'a', source: 'test', ttlMs: 300_000, fetch };
    await cache.get(lookup);
    while (fetches === 1) {
      now += 1_000;
      await cache.get(lookup);
    }
    moments.add(now);
  }
  // Sixty seconds in which somebody reads, and in none of them a crowd.
  assert.ok(moments.size > 50 && Math.min(...moments) >= 225_000 && Math.max(...moments) < 300_000);
});

test('a value that its source denies or no longer has does not serve on', async () => {
  for (const kind of ['denied', 'missing'] as const) {
    const { answers, clock, get } = setUp();
    answers.push('one', new SecretFailure(kind, 'no'));
    await get();
    clock.ms = 1_000;
    await assert.rejects(get(), { code: kind });
  }
});

test('a value that says when it ends is used no longer', async () => {
  const { answers, clock, get } = setUp();
  answers.push(
    Promise.resolve({ value: 'one', version: '1', lifetimeMs: 100 }),
    new SecretFailure('unavailable', 'no'),
  );
  await get();
  clock.ms = 100;
  await assert.rejects(get(), { code: 'unavailable' });
});

test('a source that does not answer is given up', async () => {
  const { answers, get } = setUp({ patienceMs: 1 });
  answers.push(new Promise<Fetched<string>>(() => {}));
  await assert.rejects(get(), { code: 'slow' });
});

test('a refused value is read anew, but not one that was just read', async () => {
  const { cache, answers, clock, get } = setUp({ refusedMs: 100 });
  answers.push('one', 'two');
  await get();
  assert.equal(cache.refuse('a', 'one'), false);
  assert.equal(await get(), 'one');
  clock.ms = 100;
  assert.equal(cache.refuse('a', 'one'), true);
  assert.equal(await get(), 'two');
  // Whoever learns late that the first one is refused does no harm to the second.
  assert.equal(cache.refuse('a', 'one'), true);
  assert.equal(await get(), 'two');
});

test('only so many values are kept, and the one used longest ago goes first', async () => {
  const { cache, lookup } = setUp({ size: 2 });
  const fetched: string[] = [];
  const get = (key: string) =>
    cache.get({
      ...lookup,
      key,
      fetch: async () => {
        fetched.push(key);
        return { value: key, version: key };
      },
    });
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await get(key);
  assert.deepEqual(fetched, ['a', 'b', 'c', 'b']);
  assert.equal(cache.size, 2);
});
