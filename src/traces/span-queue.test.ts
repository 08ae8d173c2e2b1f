import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { SpanQueue } from './span-queue.ts';

type Settle = Parameters<SpanExporter['export']>[1];

/** A queue in front of an exporter that does what the test says. */
function makeQueue() {
  const exports: { spans: ReadableSpan[]; settle: Settle }[] = [];
  const counted = { exported: 0, failed: 0, full: 0, stopped: 0 };
  const told: string[] = [];
  const queue = new SpanQueue({
    exporter: {
      export: (spans, settle) => void exports.push({ spans, settle }),
      shutdown: async () => {},
    },
    meter: {
      exported: (spans) => {
        counted.exported += spans;
      },
      exportFailed: (spans) => {
        counted.failed += spans;
      },
      spansLost: (spans, why) => {
        counted[why] += spans;
      },
    },
    log: {
      info: (_, message) => void told.push(message),
      warn: (facts, message) => void told.push(`${message} ${JSON.stringify(facts)}`),
    },
  });
  return { queue, exports, counted, told };
}

const SPAN = { name: 'GET' } as ReadableSpan;
const turn = () => new Promise((resolve) => setImmediate(resolve));

function add(queue: SpanQueue, spans: number): void {
  for (let i = 0; i < spans; i++) queue.add(SPAN);
}

test('one batch is under way at a time, and what finds no room is counted', async () => {
  const { queue, exports, counted } = makeQueue();
  add(queue, 3_000);
  assert.equal(exports.length, 1);
  assert.equal(exports[0]?.spans.length, 512);
  assert.equal(queue.size, 512 + 2_048);
  assert.equal(counted.full, 3_000 - 512 - 2_048);
  for (let i = 0; i < 5; i++) {
    exports[i]?.settle({ code: 0 });
    await turn();
  }
  assert.equal(queue.size, 0);
  assert.equal(counted.exported, 512 + 2_048);
});

test('trouble is told when it begins and when it ends, and counted while it lasts', async () => {
  const { queue, exports, counted, told } = makeQueue();
  const error = Object.assign(new Error('connect ECONNREFUSED'), {
    code: 'ECONNREFUSED',
    data: 'what the collector said',
  });
  for (const result of [{ code: 1, error }, { code: 1, error }, { code: 1 }, { code: 0 }]) {
    add(queue, 512);
    exports.at(-1)?.settle(result);
    await turn();
  }
  assert.deepEqual(told, [
    'traces cannot be exported {"why":"connect ECONNREFUSED","code":"ECONNREFUSED"}',
    'traces are exported again',
  ]);
  assert.deepEqual(counted, { exported: 512, failed: 1_536, full: 0, stopped: 0 });
});

test('what is left is exported at the end, and nothing is taken from then on', async () => {
  const { queue, exports, counted, told } = makeQueue();
  add(queue, 3);
  const closed = queue.close();
  add(queue, 1);
  assert.equal(exports[0]?.spans.length, 3);
  exports[0]?.settle({ code: 0 });
  await closed;
  assert.deepEqual(counted, { exported: 3, failed: 0, full: 0, stopped: 1 });
  assert.deepEqual(told, []);
});
