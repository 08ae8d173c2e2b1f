import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPlaces } from './sampling.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('what the client decided holds, whatever the ratio', () => {
  for (const [ratio, flags, sampled] of [
    [0, '01', true],
    [1, '00', false],
  ] as const) {
    const place = createPlaces(ratio)([`00-${TRACE}-${SPAN}-${flags}`]);
    assert.equal(place.sampled, sampled);
    assert.equal(place.traceId, TRACE);
    assert.notEqual(place.spanId, SPAN);
    assert.deepEqual(place.parent, { traceId: TRACE, spanId: SPAN, sampled });
  }
});

test('of traces that begin here, about as many are recorded as the ratio says', () => {
  for (const [ratio, least, most] of [
    [0, 0, 0],
    [0.25, 2_200, 2_800],
    [1, 10_000, 10_000],
  ] as const) {
    const place = createPlaces(ratio);
    const sampled = Array.from({ length: 10_000 }, () => place([])).filter((one) => one.sampled);
    assert.ok(sampled.length >= least && sampled.length <= most, `${ratio}: ${sampled.length}`);
  }
});

test('ids are new each time', () => {
  const place = createPlaces(1);
  const places = Array.from({ length: 10_000 }, () => place(['nonsense']));
  assert.equal(new Set(places.map(({ traceId }) => traceId)).size, places.length);
  assert.equal(new Set(places.map(({ spanId }) => spanId)).size, places.length);
  for (const { traceId, spanId, parent } of places) {
    assert.match(`${traceId} ${spanId}`, /^[0-9a-f]{32} [0-9a-f]{16}$/);
    assert.equal(parent, undefined);
  }
});
