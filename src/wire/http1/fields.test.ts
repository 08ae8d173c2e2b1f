import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FramingError } from './framing-error.ts';
import { parseRequestHead } from './request-head.ts';

const LIMITS = { bytes: 64 * 1024, fields: 5 };

function parse(lines: string) {
  return parseRequestHead(Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n`, 'latin1'), LIMITS).fields;
}

test('names are found in any case, values come without the white space around them', () => {
  const fields = parse('hOsT: a\r\nX-A:\t one  two \t\r\nx-a:two\r\nX-Empty:\r\nX-Blank: \t \r\n');
  assert.equal(fields.count, 5);
  assert.equal(fields.has('host'), true);
  assert.equal(fields.has('hos'), false);
  assert.equal(fields.has('x-b'), false);
  assert.equal(fields.value('x-a'), 'one  two');
  assert.deepEqual(fields.values('x-a'), ['one  two', 'two']);
  assert.deepEqual(fields.values('x-b'), []);
  assert.equal(fields.value('x-b'), undefined);
  assert.equal(fields.value('x-empty'), '');
  assert.equal(fields.value('x-blank'), '');
  assert.equal(fields.name(0), 'hOsT');
  assert.equal(fields.valueAt(2), 'two');
});

test('only letters have a case', () => {
  // 0x5e and 0x7e differ in the bit that tells the cases of a letter apart.
  const fields = parse('a^: 1\r\nAZ: 2\r\n');
  assert.equal(fields.has('a^'), true);
  assert.equal(fields.has('a~'), false);
  assert.equal(fields.has('az'), true);
});

test('a list is taken apart over all its lines', () => {
  const fields = parse('Connection: Close, ,X-A\r\nCONNECTION:\tkeep-alive ,\t y \t z\t , w\r\n');
  assert.deepEqual(fields.list('connection'), ['close', 'x-a', 'keep-alive', 'y \t z', 'w']);
  assert.deepEqual(fields.list('te'), []);
});

test('lines come as they were sent', () => {
  const fields = parse('X-A:\t1 \r\nX-B: 2\r\nx-a:\r\n');
  assert.deepEqual(fields.lines('x-a'), ['X-A:\t1 ', 'x-a:']);
  assert.deepEqual(fields.lines('x-c'), []);
});

test('bytes above ASCII stay what they are', () => {
  assert.equal(parse('X: \u0080\u00e9\u00ff\r\n').value('x'), '\u0080\u00e9\u00ff');
});

const FAULTY_LINES: readonly (readonly [line: string, code: string])[] = [
  [' X: folded', 'obs-fold'],
  ['\tX: folded', 'obs-fold'],
  ['A: b\r\n c', 'obs-fold'],
  [': no name', 'field-name'],
  ['no colon', 'field-name'],
  ['nocolon', 'field-name'],
  ['X : y', 'field-name'],
  ['X\t: y', 'field-name'],
  ['X y: z', 'field-name'],
  ['X\u0000: y', 'field-name'],
  ['\u00e9: y', 'field-name'],
  ['X(: y', 'field-name'],
  ['X\rY: z', 'field-name'],
  ['\rX: z', 'field-name'],
  ['X\nY: z', 'bare-lf'],
  ['\nX: z', 'bare-lf'],
  ['X: y\nZ: z', 'bare-lf'],
  ['X: y\rZ: z', 'bare-cr'],
  ['X: y\r', 'bare-cr'],
  ['X:\u000by', 'field-value'],
];

test('a field line that is not plainly valid is refused', () => {
  for (const [line, code] of FAULTY_LINES) {
    assert.throws(
      () => parse(`${line}\r\n`),
      (error) => error instanceof FramingError && error.code === code,
      `${JSON.stringify(line)} should fail with ${code}`,
    );
  }
});

test('a missing name is told apart from a wrong one', () => {
  assert.throws(() => parse(': v\r\n'), { code: 'field-name', message: /no name/ });
  assert.throws(() => parse('X : v\r\n'), { code: 'field-name', message: /not a token/ });
});

test('of the control characters, a value may hold HTAB only', () => {
  for (let byte = 0; byte < 256; byte++) {
    const line = `X: a${String.fromCharCode(byte)}b\r\n`;
    const refused = (byte < 0x20 && byte !== 0x09) || byte === 0x7f;
    if (refused) assert.throws(() => parse(line), FramingError, `byte ${byte}`);
    else assert.equal(parse(line).valueAt(0).length, 3, `byte ${byte}`);
  }
});

test('a name is a token', () => {
  for (let byte = 0; byte < 256; byte++) {
    const name = `a${String.fromCharCode(byte)}b`;
    const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name);
    // A colon ends the name.
    if (token || name === 'a:b') assert.equal(parse(`${name}: v\r\n`).count, 1, `byte ${byte}`);
    else assert.throws(() => parse(`${name}: v\r\n`), FramingError, `byte ${byte}`);
  }
});

test('the number of fields is bounded', () => {
  assert.equal(parse('X: y\r\n'.repeat(5)).count, 5);
  assert.throws(() => parse('X: y\r\n'.repeat(6)), {
    code: 'too-many-fields',
    message: /more than 5 fields/,
  });
});

test('whatever is accepted says again, line by line, what was sent', () => {
  const line = fc.string({ unit: fc.constantFrom(...'aZ-: \t,\r\n\u0000\u00ff'), maxLength: 12 });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
      const sent = lines.map((text) => `${text}\r\n`).join('');
      let fields: ReturnType<typeof parse>;
      try {
        fields = parse(sent);
      } catch (error) {
        assert.ok(error instanceof FramingError);
        return;
      }
      const said = sent.split('\r\n').slice(0, -1);
      assert.equal(fields.count, said.length);
      for (const [i, text] of said.entries()) {
        const colon = text.indexOf(':');
        assert.equal(fields.name(i), text.slice(0, colon));
        assert.equal(fields.valueAt(i), text.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, ''));
      }
    }),
    { numRuns: 2000 },
  );
});
