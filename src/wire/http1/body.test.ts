import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BodyReader } from './body.ts';
import type { Framing } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK } from './writer.ts';

interface Read {
  readonly payload: string;
  readonly taken: number;
  readonly done: boolean;
}

function read(framing: Framing, chunks: readonly Buffer[]): Read {
  const body = new BodyReader(framing);
  const payload: Buffer[] = [];
  let taken = 0;
  for (const chunk of chunks) {
    const own = body.push(chunk, (piece) => payload.push(piece));
    taken += own;
    if (own < chunk.length) break;
  }
  return { payload: Buffer.concat(payload).toString('latin1'), taken, done: body.done };
}

function bytesOf(text: string): Buffer[] {
  return Array.from(Buffer.from(text, 'latin1'), (byte) => Buffer.from([byte]));
}

function readChunked(text: string): Read {
  return read({ kind: 'chunked' }, [Buffer.from(text, 'latin1')]);
}

test('no body takes nothing', () => {
  const body = new BodyReader({ kind: 'none' });
  assert.equal(body.done, true);
  assert.equal(
    body.push(Buffer.from('GET'), () => assert.fail('nothing to hand on')),
    0,
  );
  body.end();
});

test('a body of known length ends with its last byte', () => {
  const framing: Framing = { kind: 'length', length: 5 };
  assert.deepEqual(read(framing, [Buffer.from('helloNEXT')]), {
    payload: 'hello',
    taken: 5,
    done: true,
  });
  assert.deepEqual(read(framing, bytesOf('helloNEXT')), { payload: 'hello', taken: 5, done: true });
  assert.deepEqual(read(framing, [Buffer.from('hel')]), { payload: 'hel', taken: 3, done: false });
  assert.equal(new BodyReader({ kind: 'length', length: 0 }).done, true);
});

test('a body without length ends with the connection', () => {
  const body = new BodyReader({ kind: 'close' });
  assert.equal(
    body.push(Buffer.from('hello'), () => {}),
    5,
  );
  assert.equal(body.done, false);
  body.end();
  assert.equal(body.done, true);
});

test('a connection that ends within a body has cut it', () => {
  const length = new BodyReader({ kind: 'length', length: 5 });
  length.push(Buffer.from('hell'), () => {});
  assert.throws(() => length.end(), { code: 'cut' });
  const chunked = '5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n';
  for (let at = 0; at < chunked.length; at++) {
    const body = new BodyReader({ kind: 'chunked' });
    body.push(Buffer.from(chunked.slice(0, at)), () => {});
    assert.throws(() => body.end(), { code: 'cut' }, `after ${at} bytes`);
  }
});

test('payload is handed on without a copy', () => {
  for (const framing of [
    { kind: 'length', length: 3 },
    { kind: 'close' },
    { kind: 'chunked' },
  ] as const) {
    const chunk = Buffer.from(framing.kind === 'chunked' ? '3\r\nabc\r\n0\r\n\r\n' : 'abc');
    const body = new BodyReader(framing);
    body.push(chunk, (payload) => assert.equal(payload.buffer, chunk.buffer));
  }
});

const CHUNKED: readonly (readonly [body: string, payload: string])[] = [
  ['0\r\n\r\n', ''],
  ['000\r\n\r\n', ''],
  ['5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['5\r\nhello\r\n6\r\n\r\nbye\n\r\n0\r\n\r\n', 'hello\r\nbye\n'],
  ['A\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
  ['000000000000a\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
  ['F\r\n0123456789abcde\r\n0\r\n\r\n', '0123456789abcde'],
  ['1f\r\n0123456789abcdef0123456789abcde\r\n0\r\n\r\n', '0123456789abcdef0123456789abcde'],
  ['1;a\r\nx\r\n0;b="c; \\" d\u00ff"\r\n\r\n', 'x'],
  ['1\r\nx\r\n0\r\nX-Check: 1\r\nHost: a\r\n\r\n', 'x'],
];

test('a chunked body is read to its end, extensions and trailers dropped, however it is cut', () => {
  for (const [body, payload] of CHUNKED) {
    const expected = { payload, taken: body.length, done: true };
    const whole = Buffer.from(`${body}GET / HTTP/1.1\r\n\r\n`, 'latin1');
    for (let at = 0; at <= whole.length; at++) {
      const chunks = [whole.subarray(0, at), whole.subarray(at)];
      assert.deepEqual(read({ kind: 'chunked' }, chunks), expected, `${body} cut at ${at}`);
    }
    assert.deepEqual(read({ kind: 'chunked' }, bytesOf(whole.toString('latin1'))), expected, body);
  }
});

const FAULTY: readonly (readonly [body: string, code: string])[] = [
  ['\r\n', 'chunk-size'],
  [';a\r\nx', 'chunk-size'],
  ['zz\r\n', 'chunk-size'],
  ['0x3\r\nabc', 'chunk-size'],
  ['+3\r\nabc', 'chunk-size'],
  ['-1\r\n', 'chunk-size'],
  [' 3\r\nabc', 'chunk-size'],
  ['3 \r\nabc', 'chunk-size'],
  ['3 ;a\r\nabc', 'chunk-size'],
  ['3g\r\nabc', 'chunk-size'],
  ['3`\r\nabc', 'chunk-size'],
  ['3@\r\nabc', 'chunk-size'],
  ['10000000000000\r\n', 'chunk-size'],
  ['3\nabc\n0\n\n', 'bare-lf'],
  ['3\r\nabc\r\n\n', 'bare-lf'],
  ['3\rabc', 'bare-cr'],
  ['3;a\nabc\r\n0\r\n\r\n', 'bare-lf'],
  ['3;a\rb\r\nabc', 'bare-cr'],
  ['3;a\u0000\r\nabc', 'chunk-extension'],
  ['3;\r\nabc', 'chunk-extension'],
  ['3;;a\r\nabc', 'chunk-extension'],
  ['3; a\r\nabc', 'chunk-extension'],
  ['3;a=\r\nabc', 'chunk-extension'],
  ['3;a=b c\r\nabc', 'chunk-extension'],
  ['3;a="b\r\nabc', 'chunk-extension'],
  ['3;a="\\"\r\nabc', 'chunk-extension'],
  ['3\r\nabcd\r\n', 'chunk-end'],
  ['3\r\nabc\n', 'chunk-end'],
  ['3\r\nabc\rx', 'bare-cr'],
  ['0\r\n\rx', 'bare-cr'],
  ['0\r\n\n', 'start-line'],
  ['0\r\n X: y\r\n\r\n', 'obs-fold'],
  ['0\r\nX : y\r\n\r\n', 'field-name'],
  ['0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 'field-name'],
  ['0\r\nContent-Length: 7\r\n\r\n', 'trailer-field'],
  ['0\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n', 'trailer-field'],
  ['0\r\nX: y\n\n', 'bare-lf'],
  ['0\r\nX: \u0000\r\n\r\n', 'field-value'],
  [`0\r\n${'X: y\r\n'.repeat(65)}\r\n`, 'too-many-fields'],
  [`0\r\nX: ${'y'.repeat(8 * 1024)}`, 'trailers-too-large'],
];

test('a chunked body that is not plainly valid is refused', () => {
  for (const [body, code] of FAULTY) {
    assert.throws(
      () => readChunked(body),
      (error) => error instanceof FramingError && error.code === code,
      `${JSON.stringify(body.slice(0, 40))} should fail with ${code}`,
    );
    assert.throws(() => read({ kind: 'chunked' }, bytesOf(body)), FramingError, body.slice(0, 40));
  }
});

test('extensions are bounded over the whole body', () => {
  const most = `1;${'x'.repeat(1024)}\r\na\r\n`.repeat(16);
  assert.equal(readChunked(most).payload.length, 16);
  assert.throws(() => readChunked(`${most}0;x\r\n`), {
    code: 'chunk-extension-too-long',
    message: /16384 bytes/,
  });
});

test('what the writer makes of a payload, the reader takes apart again', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 })),
      fc.nat(),
      (pieces, seed) => {
        const parts = pieces.flatMap((piece) => [
          chunkHead(piece.length),
          Buffer.from(piece),
          CHUNK_END,
        ]);
        const whole = Buffer.concat([...parts, LAST_CHUNK]);
        const at = seed % (whole.length + 1);
        assert.deepEqual(read({ kind: 'chunked' }, [whole.subarray(0, at), whole.subarray(at)]), {
          payload: Buffer.concat(pieces).toString('latin1'),
          taken: whole.length,
          done: true,
        });
      },
    ),
  );
});
