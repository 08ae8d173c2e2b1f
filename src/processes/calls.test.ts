import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { SekishoError } from '../core/errors.ts';
import { Calls, type Channel, type Offer } from './calls.ts';

interface Sums {
  add(numbers: readonly number[]): number;
  hang(): number;
  refuse(): number;
  fail(): number;
}

/** Two ends of a channel; what one sends, the other gets a turn later, as a copy. */
function makeChannel() {
  const ends = [new EventEmitter(), new EventEmitter()] as const;
  const state = { connected: true };
  const endOf = (own: EventEmitter, other: EventEmitter): Channel => ({
    get connected() {
      return state.connected;
    },
    on: (event: string, listener: (...args: never[]) => void) =>
      own.on(event, listener as () => void),
    send(message: unknown) {
      const copy = structuredClone(message);
      setImmediate(() => other.emit('message', copy, undefined));
      return true;
    },
  });
  const disconnect = () => {
    for (const end of ends) end.emit('disconnect');
  };
  return { left: endOf(ends[0], ends[1]), right: endOf(ends[1], ends[0]), disconnect, state };
}

function makeCalls() {
  const { left, right, disconnect, state } = makeChannel();
  const offer: Offer<Sums> = {
    add: (numbers) => numbers.reduce((a, b) => a + b, 0),
    hang: () => new Promise(() => {}),
    refuse: () => {
      throw new SekishoError('tls-unusable', 'the key is gone; bring it back');
    },
    fail: async () => {
      throw new RangeError('a fault of ours');
    },
  };
  new Calls<object, Sums>(right, offer);
  return { calls: new Calls<Sums, object>(left, {}), disconnect, state };
}

const codeOf = (code: string) => (error: SekishoError) => error.code === code;

test('a call is answered, and each with its own answer', async () => {
  const { calls } = makeCalls();
  const sums = await Promise.all([1, 2, 3].map((n) => calls.call('add', [n, 10], undefined)));
  assert.deepEqual(sums, [11, 12, 13]);
});

test('what the other side throws is thrown here: a refusal with its code, a fault with its stack', async () => {
  const { calls } = makeCalls();
  await assert.rejects(calls.call('refuse', undefined, undefined), {
    code: 'tls-unusable',
    message: 'the key is gone; bring it back',
  });
  await assert.rejects(
    calls.call('fail', undefined, undefined),
    /RangeError: a fault of ours\n +at /,
  );
});

test('a call that is not answered ends: after its limit, when the other side goes, and when it is gone', async (t) => {
  const { calls, disconnect, state } = makeCalls();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const late = calls.call('hang', undefined, 1_000);
  const forever = calls.call('hang', undefined, undefined);
  t.mock.timers.tick(1_000);
  await assert.rejects(late, codeOf('process-silent'));
  disconnect();
  await assert.rejects(forever, codeOf('process-gone'));
  await assert.rejects(calls.call('add', [1], undefined), codeOf('process-gone'));
  state.connected = false;
  await assert.rejects(calls.call('add', [1], undefined), codeOf('process-gone'));
});
