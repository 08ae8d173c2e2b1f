import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramingError } from './framing-error.ts';
import { parseRequestHead } from './request-head.ts';

const LIMITS = { bytes: 64 * 1024, fields: 100 };

function parse(head: string) {
  return parseRequestHead(Buffer.from(head, 'latin1'), LIMITS);
}

function fails(head: string, code: string) {
  assert.throws(
    () => parse(head),
    (error) => error instanceof FramingError && error.code === code,
    `${JSON.stringify(head)} should fail with ${code}`,
  );
}

test('reads the request line as sent', () => {
  const head = parse('gEt http://a.example/x?y=%20&"{|}" HTTP/1.0\r\nHost: a.example\r\n\r\n');
  assert.equal(head.method, 'gEt');
  assert.equal(head.target, 'http://a.example/x?y=%20&"{|}"');
  assert.equal(head.minor, 0);
  assert.equal(head.fields.count, 1);
});

test('a head may have no field', () => {
  const head = parse('CONNECT a.example:443 HTTP/1.1\r\n\r\n');
  assert.equal(head.minor, 1);
  assert.equal(head.fields.count, 0);
});

test('one empty line before the request is skipped, and no part of the head', () => {
  const head = parse('\r\nGET / HTTP/1.1\r\n\r\n');
  assert.equal(head.method, 'GET');
  assert.equal(head.bytes.toString(), 'GET / HTTP/1.1\r\n\r\n');
});

const FAULTY_LINES: readonly (readonly [line: string, code: string])[] = [
  ['\r\n\r\nGET / HTTP/1.1', 'start-line'],
  ['\nGET / HTTP/1.1', 'bare-lf'],
  ['\rGET / HTTP/1.1', 'start-line'],
  [' GET / HTTP/1.1', 'start-line'],
  ['GET', 'start-line'],
  ['GET /', 'start-line'],
  ['GET / ', 'start-line'],
  ['GET  / HTTP/1.1', 'start-line'],
  ['GET /  HTTP/1.1', 'start-line'],
  ['GET\t/ HTTP/1.1', 'start-line'],
  ['GET /\tHTTP/1.1', 'start-line'],
  ['GET  HTTP/1.1', 'start-line'],
  ['GE(T / HTTP/1.1', 'start-line'],
  ['GET /a b HTTP/1.1', 'start-line'],
  ['GET /\u00e9 HTTP/1.1', 'start-line'],
  ['GET /\u0000 HTTP/1.1', 'start-line'],
  ['GET /\u007f HTTP/1.1', 'start-line'],
  ['GET / HTTP/1.1 ', 'start-line'],
  ['GET / HTTP/1.1x', 'start-line'],
  ['GET / HTTP/1.10', 'start-line'],
  ['GET / http/1.1', 'start-line'],
  ['GET / ICY/1.1', 'start-line'],
  ['GET / HTTP/1,1', 'start-line'],
  ['GET / HTTP/2.0', 'version'],
  ['GET / HTTP/0.9', 'version'],
  ['GET / HTTP/1.2', 'version'],
  ['PRI * HTTP/2.0', 'version'],
];

test('a request line that is not plainly valid is refused', () => {
  for (const [line, code] of FAULTY_LINES) fails(`${line}\r\nHost: a.example\r\n\r\n`, code);
});

test('a line that ends in LF is named as such', () => {
  fails('GET\n/ HTTP/1.1\r\n\r\n', 'bare-lf');
  fails('GET /\nHTTP/1.1\r\n\r\n', 'bare-lf');
  fails('GET / HTTP/1.1\nHost: a\r\n\r\n', 'bare-lf');
});

test('bytes that are not one whole head are refused', () => {
  for (const part of ['', '\r\n', 'GET / HTTP/1.1\r\n', 'GET / HTTP/1.1\r\nHost: a\r\n']) {
    fails(part, 'cut');
  }
  fails('GET / HTTP/1.1\r\n\r\nbody', 'cut');
  for (const end of ['x\n\r\n', '\rx\r\n', '\r\nx\n', '\r\n\rx'])
    fails(`GET / HTTP/1.1${end}`, 'cut');
});

test('no message repeats a byte of what was sent', () => {
  for (const head of ['GET /s3cret x HTTP/1.1\r\n\r\n', 'GET / HTTP/1.1\r\ns3cret x: y\r\n\r\n']) {
    assert.throws(
      () => parse(head),
      (error) => error instanceof FramingError && !error.message.includes('s3cret'),
    );
  }
});
