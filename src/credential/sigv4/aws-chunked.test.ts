import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ADMIN } from '../../../test/support/aws/fake-aws.ts';
import { ChunkSigner } from './aws-chunked.ts';
import { Signer } from './signing.ts';

// The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and its page on trailers.
const SIGNER = new Signer(
  { ...ADMIN, sessionToken: undefined },
  { service: 's3', region: 'us-east-1', now: Date.parse('2013-05-24T00:00:00Z') },
);
const CONTENT = [Buffer.alloc(65_536, 'a'), Buffer.alloc(1_024, 'a'), Buffer.alloc(0)];
const CLIENTS = '0'.repeat(64);

/** A body that a client signed with a key that nobody knows. */
function body(contents: readonly Buffer[], trailers: string): Buffer {
  const chunks = contents.map((content) => {
    const line = `${content.length.toString(16)};chunk-signature=${CLIENTS}\r\n`;
    return Buffer.concat([
      Buffer.from(line),
      content,
      Buffer.from(content.length > 0 ? '\r\n' : ''),
    ]);
  });
  return Buffer.concat([...chunks, Buffer.from(`${trailers}\r\n`)]);
}

function resign(
  sent: Buffer,
  seed: string,
  trailers: boolean,
  cuts: readonly number[] = [],
): Buffer {
  const signer = new ChunkSigner(SIGNER, seed, trailers);
  const places = [
    0,
    ...cuts.map((cut) => cut % (sent.length + 1)).sort((a, b) => a - b),
    sent.length,
  ];
  const out = places.slice(1).map((end, i) => signer.push(sent.subarray(places[i], end)));
  return Buffer.concat([...out, signer.end()]);
}

function signatures(signed: Buffer): string[] {
  return [...signed.toString('latin1').matchAll(/signature[=:]([0-9a-f]{64})/g)].map(
    ([, one = '']) => one,
  );
}

test('each chunk is signed as AWS’s own example has it', () => {
  const seed = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
  const sent = body(CONTENT, '');
  const signed = resign(sent, seed, false);
  assert.deepEqual(signatures(signed), [
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ]);
  assert.equal(signed.length, sent.length);
});

test('trailers are signed as AWS’s own example has it', () => {
  const seed = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';
  const trailers = `x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${CLIENTS}\r\n`;
  const signed = resign(body(CONTENT, trailers), seed, true);
  assert.deepEqual(signatures(signed), [
    'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
    '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
    '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
    'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
  ]);
});

test('it makes no difference how the body arrives', () => {
  const sent = body([Buffer.from('one'), Buffer.from('two, longer\r\n'), Buffer.alloc(0)], '');
  const whole = resign(sent, CLIENTS, false);
  fc.assert(
    fc.property(fc.array(fc.nat(1_000), { maxLength: 20 }), (cuts) => {
      assert.deepEqual(resign(sent, CLIENTS, false, cuts), whole);
    }),
  );
});

test('a body that is malformed, cut or goes on is refused', () => {
  const line = `3;chunk-signature=${CLIENTS}\r\n`;
  const last = `0;chunk-signature=${CLIENTS}\r\n\r\n`;
  for (const sent of [
    'abc',
    `3\r\nabc\r\n${last}`,
    `${line}abcd\r\n${last}`,
    `${line}abc\r\n`,
    `${line}abc\r\n${last}more`,
    `ffffffff;chunk-signature=${CLIENTS}\r\n`,
    `${line}abc\r\n0;chunk-signature=${CLIENTS}\r\nx-amz-checksum-crc32:AAAA\r\n\r\n`,
    'x'.repeat(10_000),
  ]) {
    assert.throws(
      () => resign(Buffer.from(sent), CLIENTS, false),
      { reason: 'request-invalid' },
      sent.slice(0, 80),
    );
  }
});
