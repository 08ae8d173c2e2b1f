import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { onwardTrace, parseTraceparent } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const ZEROS = '0'.repeat(32);

for (const [text, sampled] of [
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, false],
  // Section 3.2.2.5: other flags are not looked at.
  [`00-${TRACE}-${SPAN}-ff`, true],
  [`00-${TRACE}-${SPAN}-fe`, false],
  // Section 3.2.4: of a later version what version 00 has is read.
  [`01-${TRACE}-${SPAN}-01`, true],
  [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true],
] as const) {
  test(`${text} is read`, () => {
    assert.deepEqual(parseTraceparent([text]), { traceId: TRACE, spanId: SPAN, sampled });
  });
}

for (const [why, ...values] of [
  ['none'],
  ['two of them', `00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`],
  ['an empty one', ''],
  ['a forbidden version', `ff-${TRACE}-${SPAN}-01`],
  ['something behind version 00', `00-${TRACE}-${SPAN}-01-more`],
  ['something behind a later version without a dash', `01-${TRACE}-${SPAN}-01.more`],
  ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['upper case in a version', `CC-${TRACE}-${SPAN}-01`],
  ['no hexadecimal digit', `00-${TRACE.slice(1)}g-${SPAN}-01`],
  ['a trace id of zeros', `00-${ZEROS}-${SPAN}-01`],
  ['a span id of zeros', `00-${TRACE}-${ZEROS.slice(16)}-01`],
  ['a trace id that is too short', `00-${TRACE.slice(1)}-${SPAN}-01`],
  ['no flags', `00-${TRACE}-${SPAN}`],
  ['short flags', `00-${TRACE}-${SPAN}-1`],
  ['white space', ` 00-${TRACE}-${SPAN}-01`],
  ['a line break', `00-${TRACE}-${SPAN}-01\n`],
  ['a line break behind a later version', `01-${TRACE}-${SPAN}-01-a\nb`],
  ['two in one field', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
] as const) {
  test(`${why}: the trace begins anew`, () => {
    assert.equal(parseTraceparent(values), undefined);
  });
}

const hex = (length: number) =>
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
    .filter((text) => /[^0]/.test(text));

test('what goes on is read as what it was made of', () => {
  const place = fc.record({ traceId: hex(32), spanId: hex(16), sampled: fc.boolean() });
  fc.assert(
    fc.property(place, (own) => {
      const onward = onwardTrace({ ...own, parent: undefined });
      assert.deepEqual(parseTraceparent([onward?.traceparent ?? '']), { ...own });
      assert.equal(onward?.keepsState, false, 'the state of a trace that is not this one');
    }),
  );
});

test('a trace that nobody records goes on as it came', () => {
  const parent = { traceId: TRACE, spanId: SPAN, sampled: false };
  assert.equal(onwardTrace({ ...parent, spanId: '1234567890abcdef', parent }), undefined);
});
