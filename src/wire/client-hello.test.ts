import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { connect, type SecureVersion } from 'node:tls';
import { promisify } from 'node:util';
import fc from 'fast-check';
import {
  extension,
  hello,
  message,
  record,
  serverName,
  vector,
} from '../../test/support/client-hello.ts';
import { needs, PYTHON } from '../../test/support/programs.ts';
import {
  ACCESS_DENIED_ALERT,
  type ClientHello,
  ClientHelloReader,
  NotTls,
} from './client-hello.ts';

const run = promisify(execFile);

/** What Python's ssl (OpenSSL 3.0) sent for api.example.com with http/1.1. */
const OPENSSL_HELLO = Buffer.from(
  [
    '1603010200010001fc030355187d8c3af17f85594ee48d8380a68a1c6c507c4a090f0256e4589438967e2e20',
    '870c6d51fe2508e6348d8adbbf75567ca5b6b724b512da1e1cee98533d7f25b50024130213031301c02cc030',
    'c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100018f00000014001200000f6170692e65',
    '78616d706c652e636f6d000b000403000102000a00160014001d0017001e0019001801000101010201030104',
    '002300000010000b000908687474702f312e310016000000170000000d002a00280403050306030807080808',
    '09080a080b080408050806040105010601030303010302040205020602002b00050403040303002d00020101',
    '003300260024001d0020baa1502942cbfdf3b7fbb17fc458304ea41416f454514ba6b0d164d7813b246a0015',
    '00cf000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    '000000000000000000000000000000000000000000000000000000000000000000',
  ].join(''),
  'hex',
);
const EXPECTED: ClientHello = { sni: 'api.example.com', alpn: ['http/1.1'] };

function read(chunks: readonly Buffer[]): ClientHello | undefined {
  const reader = new ClientHelloReader();
  for (const [i, chunk] of chunks.entries()) {
    const hello = reader.push(chunk);
    assert.deepEqual(reader.bytes, Buffer.concat(chunks.slice(0, i + 1)));
    if (hello !== undefined) return hello;
  }
  return undefined;
}

function attempt(chunks: readonly Buffer[]): ClientHello | 'refused' | undefined {
  try {
    return read(chunks);
  } catch (error) {
    assert.ok(error instanceof NotTls, String(error));
    return 'refused';
  }
}

/** Pieces of `bytes` that end at the given places, as far as these lie within. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const inside = [...new Set(places)].filter((at) => at > 0 && at < bytes.length);
  const bounds = [0, ...inside.sort((a, b) => a - b), bytes.length];
  return bounds.slice(1).map((end, i) => bytes.subarray(bounds[i], end));
}

const SNI = extension(0, vector(2, serverName('a.example')));

test('reads what OpenSSL sends', () => {
  assert.deepEqual(read([OPENSSL_HELLO]), EXPECTED);
});

test('however it is cut into segments, the same comes out, and every byte is kept', () => {
  for (let at = 0; at <= OPENSSL_HELLO.length; at++) {
    assert.deepEqual(read([OPENSSL_HELLO.subarray(0, at), OPENSSL_HELLO.subarray(at)]), EXPECTED);
  }
  assert.deepEqual(read(Array.from(OPENSSL_HELLO, (byte) => Buffer.from([byte]))), EXPECTED);
});

test('however it is cut into records and segments, the same comes out', () => {
  const whole = OPENSSL_HELLO.subarray(5);
  for (let at = 1; at < whole.length; at++) {
    const records = cut(whole, [at]).map(record);
    assert.deepEqual(read([Buffer.concat(records)]), EXPECTED, `two records, cut at ${at}`);
  }
  const places = fc.array(fc.nat({ max: 600 }), { maxLength: 30 });
  fc.assert(
    fc.property(places, places, (records, segments) => {
      const bytes = Buffer.concat(cut(whole, records).map(record));
      assert.deepEqual(read(cut(bytes, segments)), EXPECTED);
    }),
  );
});

test('a hello is not whole before its last byte', () => {
  assert.equal(read([OPENSSL_HELLO.subarray(0, -1)]), undefined);
});

test('what comes behind the hello is kept, not read', () => {
  const early = Buffer.from([23, 3, 3, 0, 1, 0]);
  assert.deepEqual(read([Buffer.concat([OPENSSL_HELLO, early])]), EXPECTED);
});

/** What node:tls sends first with these options. */
async function nodeHello(options: {
  servername?: string;
  ALPNProtocols?: string[];
  maxVersion?: SecureVersion;
}): Promise<Buffer> {
  const [near, far] = duplexPair();
  const socket = connect({ socket: near, ...options });
  socket.on('error', () => {});
  const [bytes] = (await once(far, 'data')) as [Buffer];
  socket.destroy();
  far.destroy();
  return bytes;
}

test('reads what node:tls sends', async () => {
  const names = await nodeHello({
    servername: 'API.Example.COM',
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  assert.deepEqual(read([names]), { sni: 'api.example.com', alpn: ['h2', 'http/1.1'] });
  assert.deepEqual(read([await nodeHello({})]), { sni: null, alpn: [] });
  const old = await nodeHello({ servername: 'old.example', maxVersion: 'TLSv1.2' });
  assert.deepEqual(read([old]), { sni: 'old.example', alpn: [] });
});

test('reads what Python sends', { skip: needs('python3') }, async () => {
  const script = `
import ssl
context, out = ssl.create_default_context(), ssl.MemoryBIO()
tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname='b\\u00fccher.example')
try: tls.do_handshake()
except ssl.SSLWantReadError: print(out.read().hex())`;
  const { stdout } = await run(PYTHON, ['-c', script]);
  const bytes = Buffer.from(stdout.trim(), 'hex');
  assert.deepEqual(read([bytes]), { sni: 'xn--bcher-kva.example', alpn: [] });
});

test('reads what curl sends', { skip: needs('curl') }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const place = `curl.example:${port}:127.0.0.1`;
  const curl = spawn('curl', ['-s', '--resolve', place, `https://curl.example:${port}/`]);
  const [socket] = await once(server, 'connection');
  const reader = new ClientHelloReader();
  let seen: ClientHello | undefined;
  for await (const chunk of socket) {
    seen = reader.push(chunk);
    if (seen !== undefined) break;
  }
  assert.equal(seen?.sni, 'curl.example');
  assert.ok(seen.alpn.includes('http/1.1'));
  await once(curl, 'close');
  server.close();
});

test('a refused client is told so: its TLS reads the alert', async () => {
  const [near, far] = duplexPair();
  const socket = connect({ socket: near, servername: 'a.example' });
  far.once('data', () => far.end(ACCESS_DENIED_ALERT));
  const [error] = await once(socket, 'error');
  assert.equal(error.code, 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED');
});

test('a hello without extensions names nobody', () => {
  assert.deepEqual(read([record(message({ extensions: undefined }))]), { sni: null, alpn: [] });
  assert.deepEqual(read([hello()]), { sni: null, alpn: [] });
});

test('with ECH the outer name counts', () => {
  const ech = extension(0xfe0d, Buffer.from('00 inner hello, encrypted'));
  assert.equal(read([hello(ech, SNI)])?.sni, 'a.example');
});

test('protocol names are whatever bytes they are', () => {
  const grease = extension(16, vector(2, vector(1, Buffer.from([0x0a, 0xfa]))));
  assert.deepEqual(read([hello(grease)])?.alpn, ['\n\u00fa']);
});

const b = (...bytes: readonly number[]) => Buffer.from(bytes);

const MALFORMED: Readonly<Record<string, Buffer>> = {
  'SNI twice': hello(SNI, SNI),
  'SNI twice, the other first': hello(extension(0, vector(2, serverName('b.example'))), SNI),
  'an unknown extension twice': hello(extension(0x1234), extension(0x1234)),
  'two names': hello(extension(0, vector(2, serverName('a.example'), serverName('b.example')))),
  'a name of another type': hello(extension(0, vector(2, serverName('a.example', 1)))),
  'a second name of another type': hello(
    extension(0, vector(2, serverName('a.example'), serverName('b.example', 1))),
  ),
  'no name in the list': hello(extension(0, vector(2))),
  'no list of names': hello(extension(0)),
  'an empty name': hello(extension(0, vector(2, serverName('')))),
  'a name that is too long': hello(extension(0, vector(2, serverName('a'.repeat(256))))),
  'NUL in the name': hello(extension(0, vector(2, serverName('a.example\0.b.example')))),
  'a space in the name': hello(extension(0, vector(2, serverName('a example')))),
  'a name beyond ASCII': hello(extension(0, vector(2, serverName('\u00e9.example')))),
  'bytes behind the list of names': hello(extension(0, vector(2, serverName('a')), b(0))),
  'bytes behind the name': hello(extension(0, vector(2, serverName('a'), b(0)))),
  'an empty list of protocols': hello(extension(16, vector(2))),
  'an empty protocol': hello(extension(16, vector(2, vector(1)))),
  'bytes behind the list of protocols': hello(extension(16, vector(2, vector(1, b(1))), b(0))),
  'a protocol longer than its list': hello(extension(16, vector(2, b(9, 1)))),
  'an extension longer than all': hello(b(0, 0, 0, 9)),
  'half an extension': hello(SNI, b(0)),
  'bytes behind the extensions': record(message({ extensions: [SNI], garbage: b(0) })),
  'half a length of extensions': record(message({ extensions: undefined, garbage: b(0) })),
  'another version': record(message({ version: b(2, 0) })),
  'a long session id': record(message({ session: vector(1, Buffer.alloc(33)) })),
  'no cipher suite': record(message({ suites: vector(2) })),
  'half a cipher suite': record(message({ suites: vector(2, b(0x13)) })),
  'no compression method': record(message({ compression: vector(1) })),
  'nothing but a header': record(b(1, 0, 0, 0)),
  'another message in the same record': record(Buffer.concat([message({}), b(1, 0, 0, 0)])),
  'the first byte of another message': record(Buffer.concat([message({}), b(1)])),
  'another message': record(b(2, 0, 0, 1, 0)),
  'a hello beyond 64 KiB': record(b(1, 1, 0, 0)),
  'an empty record': Buffer.concat([record(b(1)), record(b()), record(b(0))]),
  'an alert between two records': Buffer.concat([record(b(1)), ACCESS_DENIED_ALERT]),
  'a record that is too long': b(22, 3, 1, 0x40, 1, 1),
};

test('a malformed hello is refused, however it is cut', () => {
  for (const [name, bytes] of Object.entries(MALFORMED)) {
    assert.equal(attempt([bytes]), 'refused', name);
    assert.equal(attempt(Array.from(bytes, (byte) => b(byte))), 'refused', name);
  }
});

test('what is no TLS is refused with its first wrong byte', () => {
  const starts = [
    Buffer.from('G'),
    Buffer.from('SSH-'),
    b(0x80),
    b(22, 2),
    b(22, 3, 5),
    b(22, 3, 1, 0x41),
    b(22, 3, 1, 0x40, 1),
    b(22, 3, 1, 0, 0),
    b(22, 3, 1, 2, 0, 2),
  ];
  for (const bytes of starts) {
    assert.equal(attempt([bytes]), 'refused', bytes.toString('hex'));
  }
  for (const bytes of starts.filter((start) => start[0] === 22)) {
    assert.equal(attempt([bytes.subarray(0, -1)]), undefined, bytes.toString('hex'));
  }
});

test('a hello that is spread over many small records is bounded', () => {
  const whole = message({ extensions: [extension(0x1234, Buffer.alloc(60 * 1024))] });
  const few = cut(whole, [16_000, 32_000, 48_000]).map(record);
  assert.deepEqual(read([Buffer.concat(few)]), { sni: null, alpn: [] });
  const reader = new ClientHelloReader();
  assert.throws(() => {
    for (const byte of whole) reader.push(record(b(byte)));
  }, NotTls);
});

test('whatever is changed in a hello, it is read or refused, the same for every cut', () => {
  const change = fc.tuple(fc.nat({ max: 516 }), fc.nat({ max: 255 }));
  const places = fc.array(fc.nat({ max: 516 }), { maxLength: 5 });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), places, (changes, segments) => {
      const bytes = Buffer.from(OPENSSL_HELLO);
      for (const [at, byte] of changes) bytes[at] = byte;
      assert.deepEqual(attempt(cut(bytes, segments)), attempt([bytes]));
    }),
    { numRuns: 2000 },
  );
});
