import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FramingError } from './framing-error.ts';
import { parseRequestHead } from './request-head.ts';
import { chunkHead, HeadWriter } from './writer.ts';

const LIMITS = { bytes: 64 * 1024, fields: 100 };

function fieldsOf(lines: string) {
  return parseRequestHead(Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n`, 'latin1'), LIMITS).fields;
}

const none = () => false;

test('kept fields travel byte by byte, in their order, without the dropped ones', () => {
  const fields = fieldsOf(
    'CONNECTION: x-hop\r\nhOsT:  a \r\nX-Hop: 1\r\nX-A:\t\u00e9\u00ff\r\nKeep-Alive: 5\r\n',
  );
  const dropped = new Set(['connection', 'x-hop', 'keep-alive']);
  const head = new HeadWriter('GET /x HTTP/1.1').keep(fields, (name) => dropped.has(name));
  assert.equal(
    head.toBuffer().toString('latin1'),
    'GET /x HTTP/1.1\r\nhOsT:  a \r\nX-A:\t\u00e9\u00ff\r\n\r\n',
  );
});

test('a head may keep nothing', () => {
  assert.equal(new HeadWriter('HTTP/1.1 200 ').toBuffer().toString(), 'HTTP/1.1 200 \r\n\r\n');
  const fields = fieldsOf('A: 1\r\nB: 2\r\n');
  const head = new HeadWriter('GET / HTTP/1.1').keep(fields, () => true);
  assert.equal(head.toBuffer().toString(), 'GET / HTTP/1.1\r\n\r\n');
});

test('own fields stand before or behind the kept ones, as they were set', () => {
  const head = new HeadWriter('GET / HTTP/1.1')
    .set('Host', 'a')
    .keep(fieldsOf('A: 1\r\n'), none)
    .set('X-B', '\u00e9')
    .keep(fieldsOf('C: 3\r\n'), none);
  assert.equal(
    head.toBuffer().toString('latin1'),
    'GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nC: 3\r\nX-B: \u00e9\r\n\r\n',
  );
});

test('a field that is set is the only one of its name', () => {
  const fields = fieldsOf('authorization: client\r\nA: 1\r\nAUTHORIZATION: again\r\n');
  const expected = ['A: 1\r\n', 'Authorization: ours\r\n'];
  const after = new HeadWriter('GET / HTTP/1.1').keep(fields, none).set('Authorization', 'ours');
  assert.equal(after.toBuffer().toString(), `GET / HTTP/1.1\r\n${expected.join('')}\r\n`);
  const before = new HeadWriter('GET / HTTP/1.1').set('Authorization', 'ours').keep(fields, none);
  assert.equal(
    before.toBuffer().toString(),
    `GET / HTTP/1.1\r\n${expected.reverse().join('')}\r\n`,
  );
  const twice = new HeadWriter('GET / HTTP/1.1').set('A', '1').add('a', '2').set('a', '3');
  assert.equal(twice.toBuffer().toString(), 'GET / HTTP/1.1\r\na: 3\r\n\r\n');
  const behind = new HeadWriter('GET / HTTP/1.1').keep(fieldsOf(''), none);
  behind.set('A', '1').add('B', '2').add('a', '3').set('a', '4');
  assert.equal(behind.toBuffer().toString(), 'GET / HTTP/1.1\r\nB: 2\r\na: 4\r\n\r\n');
});

test('a field that is added stands beside the kept ones of its name', () => {
  const head = new HeadWriter('GET / HTTP/1.1')
    .keep(fieldsOf('Via: 1.1 a\r\n'), none)
    .add('Via', '1.1 b');
  assert.equal(head.toBuffer().toString(), 'GET / HTTP/1.1\r\nVia: 1.1 a\r\nVia: 1.1 b\r\n\r\n');
});

test('nothing that is written can begin a line of its own', () => {
  // U+010A and U+010D have LF and CR as their low byte, which is what latin1 would write.
  for (const bad of ['\r', '\n', '\0', '\u007f', '\u010a', '\u010d', '\u0100', '\ud83d\ude00']) {
    const value = `a${bad}X-Injected: b`;
    const head = new HeadWriter('GET / HTTP/1.1');
    const message = /control character/;
    assert.throws(() => new HeadWriter(value), { code: 'start-line', message });
    assert.throws(() => head.set('X', value), { code: 'field-value', message });
    assert.throws(() => head.add(value, 'x'), { code: 'field-name', message: /no token/ });
  }
  for (const name of ['', 'a b', 'a:', 'a\t']) {
    assert.throws(() => new HeadWriter('GET / HTTP/1.1').set(name, 'x'), { code: 'field-name' });
  }
});

test('what is written is read again as it was meant', () => {
  const name = fc.string({ unit: fc.constantFrom(...'abXY-_!'), minLength: 1, maxLength: 6 });
  const value = fc.string({ unit: fc.constantFrom(...'a: ,\t\u00ff"\r\n\u010a'), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (pairs) => {
      const writer = new HeadWriter('GET / HTTP/1.1');
      const written: [string, string][] = [];
      for (const [fieldName, text] of pairs) {
        try {
          writer.add(fieldName, text);
          written.push([fieldName, text.replace(/^[ \t]+|[ \t]+$/g, '')]);
        } catch (error) {
          assert.ok(error instanceof FramingError);
        }
      }
      const { fields } = parseRequestHead(writer.toBuffer(), LIMITS);
      const read = Array.from({ length: fields.count }, (_, i) => [
        fields.name(i),
        fields.valueAt(i),
      ]);
      assert.deepEqual(read, written);
    }),
    { numRuns: 500 },
  );
});

test('a chunk begins with its size in hexadecimal digits', () => {
  assert.equal(chunkHead(65_536).toString(), '10000\r\n');
});
