import assert from 'node:assert/strict';
import { test } from 'node:test';
import cases from '../../../test/cases/framing.json' with { type: 'json' };
import { BodyReader } from './body.ts';
import { keepsAlive, requestFraming, responseFraming } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { HeadReader } from './head-reader.ts';
import { parseRequestHead } from './request-head.ts';
import { parseResponseHead } from './response-head.ts';

const LIMITS = { bytes: 64 * 1024, fields: 100 };

function request(lines: string, minor = 1) {
  return parseRequestHead(Buffer.from(`POST / HTTP/1.${minor}\r\n${lines}\r\n`, 'latin1'), LIMITS);
}

function response(status: number, lines: string, minor = 1) {
  const head = `HTTP/1.${minor} ${status} x\r\n${lines}\r\n`;
  return parseResponseHead(Buffer.from(head, 'latin1'), LIMITS);
}

/** Cases whose fault is in what the request asks for, not in how it is framed: the listener refuses them. */
const FRAMED_WELL = new Set([
  'host-disagrees',
  'host-disagrees-port',
  'host-twice',
  'no-host',
  'userinfo',
  'fragment',
  'scheme-ftp',
  'scheme-file',
  'connect-with-length',
  'connect-with-te',
  'connect-host-disagrees',
]);

test('the table of requests: what is framed badly is refused, all else is read to its end', () => {
  for (const { name, raw, status } of cases.cases) {
    const refused = status !== 200 && !FRAMED_WELL.has(name);
    const bytes = Buffer.from(raw, 'latin1');
    if (refused) assert.throws(() => readRequest(bytes), FramingError, name);
    else assert.equal(readRequest(bytes), 0, name);
  }
});

/** Returns how many bytes are left behind the request. */
function readRequest(bytes: Buffer): number {
  const reader = new HeadReader(parseRequestHead, LIMITS);
  const head = reader.push(bytes);
  if (head === undefined) throw new FramingError('cut', 'no head');
  const body = new BodyReader(requestFraming(head));
  const taken = body.push(reader.rest, () => {});
  body.end();
  return reader.rest.length - taken;
}

test('a request without Content-Length and Transfer-Encoding has no body', () => {
  assert.deepEqual(requestFraming(request('Host: a\r\n')), { kind: 'none' });
});

test('a request is as long as it says', () => {
  const length = (value: string) => requestFraming(request(`content-length:${value}\r\n`));
  assert.deepEqual(length(' 0 '), { kind: 'length', length: 0 });
  assert.deepEqual(length('0012'), { kind: 'length', length: 12 });
  const most = Number.MAX_SAFE_INTEGER;
  assert.deepEqual(length(`${most}`), { kind: 'length', length: most });
  assert.deepEqual(requestFraming(request('TRANSFER-encoding: chunkeD\r\n')), { kind: 'chunked' });
});

test('a Content-Length that is not one plain number is refused', () => {
  const values = [
    '',
    ' ',
    '+4',
    '-1',
    '0x4',
    '4,4',
    '4, 4',
    '4;',
    '4 4',
    '4.0',
    '4\t',
    '\t4',
    '1e3',
    '9007199254740992',
  ];
  for (const value of [...values, '1'.repeat(17)]) {
    const head = request(`Content-Length: ${value}\r\n`);
    assert.throws(() => requestFraming(head), { code: 'content-length' }, value);
  }
  const twice = request('Content-Length: 4\r\ncontent-length: 4\r\n');
  assert.throws(() => requestFraming(twice), { code: 'content-length' });
});

test('a Transfer-Encoding but exactly chunked is refused', () => {
  const values = [
    '',
    'gzip',
    'gzip, chunked',
    'chunked, identity',
    'chunked,',
    'chunked;q=1',
    'xchunked',
    '"chunked"',
    'chunked chunked',
    'chunked\t',
    '\tchunked',
  ];
  for (const value of values) {
    const head = request(`Transfer-Encoding: ${value}\r\n`);
    assert.throws(() => requestFraming(head), { code: 'transfer-encoding' }, value);
  }
  const twice = request('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n');
  assert.throws(() => requestFraming(twice), { code: 'transfer-encoding' });
  const old = request('Transfer-Encoding: chunked\r\n', 0);
  assert.throws(() => requestFraming(old), { code: 'transfer-encoding' });
});

test('Content-Length beside Transfer-Encoding is refused in both directions', () => {
  const both = 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n';
  const fault = { name: 'FramingError', code: 'content-length' };
  assert.throws(() => requestFraming(request(both)), fault);
  assert.throws(() => responseFraming(response(200, both), 'GET'), fault);
});

const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const FOUR = 'Content-Length: 4\r\n';

const RESPONSES: readonly (readonly [
  method: string,
  status: number,
  lines: string,
  expected: 'none' | 'length' | 'chunked' | 'close' | 'refused',
])[] = [
  ['GET', 200, '', 'close'],
  ['GET', 200, FOUR, 'length'],
  ['GET', 200, CHUNKED, 'chunked'],
  ['GET', 404, FOUR, 'length'],
  ['GET', 205, 'Content-Length: 0\r\n', 'length'],
  ['GET', 999, '', 'close'],
  ['HEAD', 200, '', 'none'],
  ['HEAD', 200, FOUR, 'none'],
  ['HEAD', 200, CHUNKED, 'none'],
  ['HEAD', 200, 'Content-Length: x\r\n', 'refused'],
  ['head', 200, FOUR, 'length'],
  ['GET', 304, FOUR, 'none'],
  ['GET', 304, CHUNKED, 'none'],
  ['GET', 304, `${FOUR}${CHUNKED}`, 'refused'],
  ['GET', 204, '', 'none'],
  ['GET', 204, 'Content-Length: 0\r\n', 'none'],
  ['GET', 204, FOUR, 'refused'],
  ['GET', 204, CHUNKED, 'refused'],
  ['GET', 100, '', 'none'],
  ['GET', 101, '', 'none'],
  ['GET', 103, FOUR, 'refused'],
  ['GET', 103, CHUNKED, 'refused'],
  ['CONNECT', 200, '', 'none'],
  ['CONNECT', 299, FOUR, 'none'],
  ['CONNECT', 200, `${FOUR}${CHUNKED}`, 'none'],
  ['CONNECT', 100, FOUR, 'refused'],
  ['CONNECT', 407, FOUR, 'length'],
  ['CONNECT', 300, '', 'close'],
];

test('a response is as long as its request, status and fields make it', () => {
  for (const [method, status, lines, expected] of RESPONSES) {
    const what = `${method} ${status} ${JSON.stringify(lines)}`;
    const head = response(status, lines);
    if (expected === 'refused') {
      assert.throws(() => responseFraming(head, method), FramingError, what);
    } else {
      assert.equal(responseFraming(head, method).kind, expected, what);
    }
  }
});

test('a connection is kept as version and Connection say', () => {
  const table: readonly (readonly [minor: number, lines: string, kept: boolean])[] = [
    [1, '', true],
    [1, 'Connection: close\r\n', false],
    [1, 'Connection: X-A, CLOSE\r\n', false],
    [1, 'Connection: X-A\r\nConnection: close\r\n', false],
    [1, 'Connection: closed\r\n', true],
    [0, '', false],
    [0, 'Connection: Keep-Alive\r\n', true],
    [0, 'Connection: keep-alive, close\r\n', false],
  ];
  for (const [minor, lines, kept] of table) {
    assert.equal(keepsAlive(request(lines, minor)), kept, `1.${minor} ${lines}`);
    assert.equal(keepsAlive(response(200, lines, minor)), kept, `1.${minor} ${lines}`);
  }
});
