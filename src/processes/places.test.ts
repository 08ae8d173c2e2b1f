import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Lender, LentPlaces, SharedPlaces } from './places.ts';

function makeWorkers(count: number) {
  const lent = new LentPlaces(count);
  const asked = { count: 0 };
  const borrowers = Array.from({ length: count }, () => lent.borrower());
  const workers = borrowers.map((borrower) => {
    const lender: Lender = {
      take: async (order) => {
        asked.count++;
        return borrower.take(order);
      },
      leave: (order) => borrower.leave(order),
    };
    return new SharedPlaces('egress', count, lender);
  });
  return { borrowers, workers, asked };
}

test('a key has no more places than its limit, whichever workers give them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 200 }),
      async (count, limit, steps) => {
        const { workers } = makeWorkers(count);
        const taken = workers.map(() => 0);
        for (const [pick, takes] of steps) {
          const i = pick % count;
          if (takes && (await workers[i]?.take('client', limit))) (taken[i] as number)++;
          else if (!takes && (taken[i] as number) > 0) {
            workers[i]?.leave('client');
            (taken[i] as number)--;
          }
          assert.ok(taken.reduce((a, b) => a + b) <= limit);
        }
      },
    ),
  );
});

test('where connections are spread evenly, all places of a limit are given', async () => {
  for (const limit of [1, 7, 100, 20_000]) {
    const { workers } = makeWorkers(4);
    let taken = 0;
    for (let i = 0; i < limit; i++) if (await workers[i % 4]?.take('client', limit)) taken++;
    assert.equal(taken, limit);
    assert.equal(await workers[0]?.take('client', limit), false);
  }
});

test('as long as a key has few places, nobody is asked', async () => {
  const { workers, asked } = makeWorkers(2);
  for (let i = 0; i < 1250; i++) assert.equal(workers[0]?.take('client', 10_000), true);
  assert.equal(asked.count, 0);
  assert.equal(await workers[0]?.take('client', 10_000), true);
  assert.equal(asked.count, 1);
});

test('the places that a dead worker had lent come back', async () => {
  const { borrowers, workers } = makeWorkers(2);
  for (let i = 0; i < 3; i++) assert.equal(await workers[0]?.take('client', 3), true);
  assert.equal(await workers[1]?.take('client', 3), false);
  borrowers[0]?.end();
  for (let i = 0; i < 3; i++) assert.equal(await workers[1]?.take('client', 3), true);
  // What was still on its way from the dead one changes nothing.
  workers[0]?.leave('client');
  assert.equal(await workers[0]?.take('client', 3), false);
  assert.equal(await workers[1]?.take('client', 3), false);
});

test('a primary that does not answer gives no place', async () => {
  const lender: Lender = {
    take: async () => {
      throw new Error('gone');
    },
    leave() {},
  };
  assert.equal(await new SharedPlaces('egress', 1, lender).take('client', 1), false);
});
