import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramingError } from './framing-error.ts';
import { HeadReader } from './head-reader.ts';
import { parseRequestHead, type RequestHead } from './request-head.ts';

const LIMITS = { bytes: 200, fields: 10 };
const HEAD = 'GET /x HTTP/1.1\r\nHost: a.example\r\nX-A: b\r\n\r\n';

function reader() {
  return new HeadReader(parseRequestHead, LIMITS);
}

function readAll(chunks: readonly Buffer[]): { head: RequestHead; rest: string } {
  const subject = reader();
  for (const [i, chunk] of chunks.entries()) {
    const head = subject.push(chunk);
    if (head === undefined) continue;
    const behind = chunks.slice(i + 1).map((later) => later.toString('latin1'));
    return { head, rest: subject.rest.toString('latin1') + behind.join('') };
  }
  throw new FramingError('cut', 'no head');
}

function* splits(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from(bytes, (byte) => Buffer.from([byte]));
}

test('however it is cut, the same head and the same rest come out', () => {
  for (const lead of ['', '\r\n']) {
    for (const chunks of splits(Buffer.from(`${lead}${HEAD}rest\r\n\r\n`))) {
      const { head, rest } = readAll(chunks);
      assert.equal(head.bytes.toString(), HEAD);
      assert.equal(head.target, '/x');
      assert.equal(head.fields.value('x-a'), 'b');
      assert.equal(rest, 'rest\r\n\r\n');
    }
  }
});

test('however it is cut, a faulty head is refused', () => {
  const faulty = [
    '\r\n\r\nGET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\nHost: a\n\n\r\n\r\n',
    'GET / HTTP/1.1\r\nX: a\rb\r\n\r\n',
    'GET / HTTP/1.1\r\nX: a\r\r\n\r\n',
    ' GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nX y: z\r\n\r\n',
  ];
  for (const head of faulty) {
    for (const chunks of splits(Buffer.from(head))) {
      assert.throws(() => readAll(chunks), FramingError, JSON.stringify(head));
    }
  }
});

test('what cannot become a head fails before its end', () => {
  const hopeless: readonly (readonly [start: string, code: string])[] = [
    ['\x16\x03\x01', 'start-line'],
    [' ', 'start-line'],
    ['\n', 'start-line'],
    ['\r\n\r', 'start-line'],
    ['\r\n\n', 'start-line'],
    ['\r\n\r\n', 'start-line'],
    ['\rG', 'bare-cr'],
    ['GET / HTTP/1.1\n', 'bare-lf'],
    ['GET / HTTP/1.1\r\nHost: a\n', 'bare-lf'],
    ['GET / HTTP/1.1\rH', 'bare-cr'],
    ['G'.repeat(201), 'head-too-large'],
  ];
  for (const [start, code] of hopeless) {
    for (const chunks of splits(Buffer.from(start, 'latin1'))) {
      const subject = reader();
      assert.throws(
        () => {
          for (const chunk of chunks) subject.push(chunk);
        },
        (error) => error instanceof FramingError && (error.code === code || chunks.length > 1),
        JSON.stringify(start),
      );
    }
  }
});

test('a head of exactly the limit passes, one byte more does not', () => {
  const room = LIMITS.bytes - 'GET / HTTP/1.1\r\nX: \r\n\r\n'.length;
  const whole = (n: number) => Buffer.from(`GET / HTTP/1.1\r\nX: ${'x'.repeat(n)}\r\n\r\n`);
  assert.ok(reader().push(whole(room)));
  assert.ok(reader().push(Buffer.concat([whole(room), Buffer.from('and its body')])));
  assert.throws(() => reader().push(whole(room + 1)), {
    code: 'head-too-large',
    message: /within 200 bytes/,
  });
});

test('a head that comes alone is not copied', () => {
  const chunk = Buffer.from(HEAD);
  const head = reader().push(chunk);
  assert.equal(head?.bytes.buffer, chunk.buffer);
});

test('one reader reads the heads of a connection one after the other', () => {
  const subject = reader();
  assert.equal(subject.started, false);
  assert.equal(subject.push(Buffer.alloc(0)), undefined);
  assert.equal(subject.started, false);
  assert.equal(subject.push(Buffer.from('\r\n')), undefined);
  assert.equal(subject.started, false, 'an empty line');
  assert.equal(subject.push(Buffer.from('GET /1 HT')), undefined);
  assert.equal(subject.started, true);
  const first = subject.push(Buffer.from('TP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET'));
  assert.equal(first?.target, '/1');
  const rest = subject.rest;
  subject.reset();
  assert.equal(subject.started, false);
  assert.equal(subject.rest.length, 0);
  assert.equal(subject.push(rest)?.target, '/2');
  assert.equal(subject.rest.toString(), 'GET');
  assert.equal(first?.target, '/1');
});
