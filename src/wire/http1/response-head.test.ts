import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramingError } from './framing-error.ts';
import { parseResponseHead } from './response-head.ts';

const LIMITS = { bytes: 64 * 1024, fields: 100 };

function parse(head: string) {
  return parseResponseHead(Buffer.from(head, 'latin1'), LIMITS);
}

test('reads the status line', () => {
  const head = parse('HTTP/1.1 404 Not  Found \u00e9\r\nServer: x\r\n\r\n');
  assert.equal(head.minor, 1);
  assert.equal(head.status, 404);
  assert.equal(head.phrase, 'Not  Found \u00e9');
  assert.equal(head.fields.value('server'), 'x');
});

test('takes an empty phrase, with its space or without', () => {
  for (const line of ['HTTP/1.0 200 ', 'HTTP/1.0 200']) {
    const head = parse(`${line}\r\n\r\n`);
    assert.equal(head.minor, 0);
    assert.equal(head.status, 200);
    assert.equal(head.phrase, '');
    assert.equal(head.fields.count, 0);
  }
});

test('takes statuses that have no class', () => {
  assert.equal(parse('HTTP/1.1 999 Request denied\r\n\r\n').status, 999);
});

const FAULTY_LINES: readonly (readonly [line: string, code: string])[] = [
  ['\r\nHTTP/1.1 200 OK', 'start-line'],
  [' HTTP/1.1 200 OK', 'start-line'],
  ['HTTP/1.1  200 OK', 'start-line'],
  ['HTTP/1.1\t200 OK', 'start-line'],
  ['HTTP/1.1', 'start-line'],
  ['HTTP/1.1 ', 'start-line'],
  ['HTTP/1.1 20', 'start-line'],
  ['HTTP/1.1 20 OK', 'start-line'],
  ['HTTP/1.1 2000 OK', 'start-line'],
  ['HTTP/1.1 +20 OK', 'start-line'],
  ['HTTP/1.1 099 OK', 'start-line'],
  ['HTTP/1.1 200\tOK', 'start-line'],
  ['HTTP/1.1 200-OK', 'start-line'],
  ['http/1.1 200 OK', 'start-line'],
  ['ICY 200 OK', 'start-line'],
  ['HTTP/2.0 200 OK', 'version'],
  ['HTTP/1.1 200 O\u0000K', 'field-value'],
  ['HTTP/1.1 200 O\rK', 'bare-cr'],
  ['HTTP/1.1 200 O\nK', 'bare-lf'],
];

test('a status line that is not plainly valid is refused', () => {
  for (const [line, code] of FAULTY_LINES) {
    assert.throws(
      () => parse(`${line}\r\nServer: x\r\n\r\n`),
      (error) => error instanceof FramingError && error.code === code,
      `${JSON.stringify(line)} should fail with ${code}`,
    );
  }
});

test('bytes that are not one whole head are refused', () => {
  const cut = { code: 'cut', message: /empty line/ };
  assert.throws(() => parse('HTTP/1.1 200 OK\r\n'), cut);
  assert.throws(() => parse('\r\n\r\n'), { code: 'start-line' });
});
