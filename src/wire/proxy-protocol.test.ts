import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ProxyHeader, ProxyHeaderError, ProxyHeaderReader } from './proxy-protocol.ts';

interface Read {
  readonly version: 1 | 2;
  /** `IP port`, or undefined for the peer's own. */
  readonly source: string | undefined;
  readonly rest: string;
}

function read(chunks: readonly Buffer[]): Read | undefined {
  const reader = new ProxyHeaderReader();
  for (const [i, chunk] of chunks.entries()) {
    const header = reader.push(chunk);
    if (header === undefined) continue;
    const rest = Buffer.concat([reader.rest, ...chunks.slice(i + 1)]).toString('latin1');
    return { version: header.version, source: sourceOf(header), rest };
  }
  return undefined;
}

function sourceOf({ source }: ProxyHeader): string | undefined {
  return source && `${source.ip} ${source.port}`;
}

const SIGNATURE = '0d0a0d0a000d0a515549540a';

/** As HAProxy 2.6 sent them, the client's `hello` behind. */
const FROM_HAPROXY: readonly (readonly [
  hex: string,
  version: 1 | 2,
  source: string | undefined,
])[] = [
  [ascii('PROXY TCP4 127.0.0.1 127.0.0.1 41776 45347\r\n'), 1, '127.0.0.1 41776'],
  [ascii('PROXY TCP6 ::1 ::1 60350 45347\r\n'), 1, '::1 60350'],
  [ascii('PROXY UNKNOWN\r\n'), 1, undefined],
  [`${SIGNATURE}2111000c7f0000017f0000018bb6b124`, 2, '127.0.0.1 35766'],
  [`${SIGNATURE}21210024${'0'.repeat(31)}1${'0'.repeat(31)}19404b124`, 2, '::1 37892'],
  // A health check: LOCAL.
  [`${SIGNATURE}20000000`, 2, undefined],
  // With crc32c and unique-id as TLVs.
  [
    `${SIGNATURE}2111001c7f0000017f00000184e8b1250300046d975117050006616263313233`,
    2,
    '127.0.0.1 34024',
  ],
  [`${SIGNATURE}2000001003000473cf3912050006616263313233`, 2, undefined],
];

function ascii(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}

test('reads what HAProxy sends, however it is cut', () => {
  for (const [hex, version, source] of FROM_HAPROXY) {
    const bytes = Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from('hello')]);
    const expected = { version, source, rest: 'hello' };
    for (let at = 0; at <= bytes.length; at++) {
      assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), expected, hex);
    }
    assert.deepEqual(read(Array.from(bytes, (byte) => Buffer.from([byte]))), expected, hex);
    const header = bytes.subarray(0, -'hello'.length);
    assert.equal(read([header.subarray(0, -1)]), undefined, 'a header that is not whole yet');
  }
});

const LINES: readonly (readonly [line: string, source: string | undefined])[] = [
  ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535', '255.255.255.255 65535'],
  ['PROXY TCP4 192.0.2.1 198.51.100.1 0 443', '192.0.2.1 0'],
  ['PROXY TCP6 2001:DB8::1 2001:db8::2 1 443', '2001:db8::1 1'],
  ['PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 443', '192.0.2.1 1'],
  ['PROXY UNKNOWN ffff::1 ffff::2 65535 65535', undefined],
  [`PROXY UNKNOWN ${'x'.repeat(91)}`, undefined],
];

test('version 1: reads a line of up to 107 bytes', () => {
  for (const [line, source] of LINES) {
    assert.deepEqual(read([Buffer.from(`${line}\r\n`)]), { version: 1, source, rest: '' }, line);
  }
});

const FAULTY_LINES = [
  'PROXY',
  'PROXY ',
  'PROXY TCP4',
  'PROXY TCP5 192.0.2.1 192.0.2.2 1 2',
  'PROXY UDP4 192.0.2.1 192.0.2.2 1 2',
  'PROXY UNKNOWNX',
  'PROXY unknown',
  'proxy TCP4 192.0.2.1 192.0.2.2 1 2',
  'PROXY  TCP4 192.0.2.1 192.0.2.2 1 2',
  'PROXY TCP4  192.0.2.1 192.0.2.2 1 2',
  'PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ',
  'PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3',
  'PROXY TCP4 192.0.2.1 192.0.2.2 1',
  'PROXY TCP4\t192.0.2.1 192.0.2.2 1 2',
  'PROXY TCP4 192.0.2.1 192.0.2.2 01 2',
  'PROXY TCP4 192.0.2.1 192.0.2.2 1 02',
  'PROXY TCP4 192.0.2.1 192.0.2.2 65536 2',
  'PROXY TCP4 192.0.2.1 192.0.2.2 1 99999',
  'PROXY TCP4 192.0.2.1 192.0.2.2 -1 2',
  'PROXY TCP4 192.0.2.1 192.0.2.2 1 x',
  'PROXY TCP4 192.0.2.256 192.0.2.2 1 2',
  'PROXY TCP4 192.0.2.01 192.0.2.2 1 2',
  'PROXY TCP4 192.0.2.1 192.0.2 1 2',
  'PROXY TCP4 ::1 ::1 1 2',
  'PROXY TCP4 ::1 192.0.2.2 1 2',
  'PROXY TCP6 192.0.2.1 192.0.2.2 1 2',
  'PROXY TCP6 ::1 192.0.2.2 1 2',
  'PROXY TCP6 fe80::1%eth0 ::1 1 2',
  'PROXY TCP6 [::1] [::1] 1 2',
  'PROXY UNKNOWN \u00e9',
  'PROXY UNKNOWN \r',
  `PROXY UNKNOWN ${'x'.repeat(92)}`,
  'GET / HTTP/1.1',
];

test('version 1: a line that is not plainly valid is refused', () => {
  for (const line of FAULTY_LINES) {
    assert.throws(() => read([Buffer.from(`${line}\r\n`, 'latin1')]), ProxyHeaderError, line);
  }
  const lf = Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n');
  assert.throws(() => read([lf]), ProxyHeaderError);
});

test('a line that never ends is refused with its 107th byte', () => {
  const line = `PROXY UNKNOWN ${'x'.repeat(93)}`;
  assert.equal(read([Buffer.from(line.slice(0, 106))]), undefined);
  assert.throws(() => read([Buffer.from(line)]), ProxyHeaderError);
});

test('what is no PROXY header is refused with its first wrong byte', () => {
  for (const start of ['G', 'PR0', 'PROXYT', '\r\n\r\n\0\r\nX', '\x16', '\n']) {
    const bytes = Buffer.from(start, 'latin1');
    assert.equal(read([bytes.subarray(0, -1)]), undefined);
    assert.throws(() => read([bytes]), ProxyHeaderError, JSON.stringify(start));
  }
});

/** @param tail from the command on, in hexadecimal digits; spaces are for reading */
function v2(tail: string): Buffer {
  return Buffer.from(SIGNATURE + tail.replaceAll(' ', ''), 'hex');
}

const IPV4 = 'c0000201 c6336401 1f90 01bb';

test("version 2: what carries no address of a client leaves the peer's own", () => {
  const none = { version: 2, source: undefined, rest: '' };
  assert.deepEqual(read([v2(`20 11 000c ${IPV4}`)]), none, 'LOCAL with addresses');
  assert.deepEqual(read([v2(`20 ff 0000`)]), none, 'LOCAL of an unknown family');
  assert.deepEqual(read([v2('21 00 0000')]), none, 'UNSPEC');
  assert.deepEqual(read([v2(`21 00 000c ${IPV4}`)]), none, 'UNSPEC with bytes behind');
  assert.deepEqual(read([v2(`21 31 00d8 ${'2f'.repeat(216)}`)]), none, 'AF_UNIX');
});

test('version 2: a mapped address is the IPv4 address inside', () => {
  const mapped = `${'0'.repeat(20)}ffffc0000201`;
  assert.equal(read([v2(`21 21 0024 ${mapped} ${mapped} 1f90 01bb`)])?.source, '192.0.2.1 8080');
});

test('version 2: TLVs up to 2048 bytes are skipped', () => {
  const tlvs = '04 07f1'.concat('00'.repeat(2033));
  assert.equal(read([v2(`21 11 0800 ${IPV4} ${tlvs}`)])?.source, '192.0.2.1 8080');
  assert.throws(() => read([v2(`21 11 0801`)]), ProxyHeaderError);
});

test('version 2: a header that is not plainly valid is refused', () => {
  const faulty = [
    `11 11 000c ${IPV4}`,
    `31 11 000c ${IPV4}`,
    `22 11 000c ${IPV4}`,
    `2f 11 000c ${IPV4}`,
    `21 12 000c ${IPV4}`,
    `21 22 0024 ${'00'.repeat(36)}`,
    `21 41 000c ${IPV4}`,
    `21 10 000c ${IPV4}`,
    '21 11 0000',
    '21 11 000b c0000201 c6336401 1f90 01',
    `21 21 000c ${IPV4}`,
    `21 21 0023 ${'00'.repeat(35)}`,
    `21 31 00d7 ${'00'.repeat(215)}`,
  ];
  for (const tail of faulty) assert.throws(() => read([v2(tail)]), ProxyHeaderError, tail);
});

test('version 2: an impossible fixed part is refused without waiting for the rest', () => {
  for (const tail of ['11', '21 41', '21 11 ffff']) {
    assert.throws(() => read([v2(tail)]), ProxyHeaderError, tail);
  }
});

test('arbitrary bytes give a header, a wish for more or a ProxyHeaderError', () => {
  const starts = [
    '',
    'PROXY ',
    'PROXY TCP4 192.0.2.1 ',
    Buffer.from(SIGNATURE, 'hex').toString('latin1'),
  ];
  const start = fc.constantFrom(...starts, `${starts[3]}\x21\x11\x00`);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 60 }), (prefix, tail) => {
      const bytes = Buffer.concat([Buffer.from(prefix, 'latin1'), tail]);
      const whole = attempt([bytes]);
      assert.deepEqual(attempt(Array.from(bytes, (byte) => Buffer.from([byte]))), whole);
    }),
    { numRuns: 1000 },
  );
});

function attempt(chunks: readonly Buffer[]): Read | 'refused' | undefined {
  try {
    return read(chunks);
  } catch (error) {
    assert.ok(error instanceof ProxyHeaderError, String(error));
    return 'refused';
  }
}
