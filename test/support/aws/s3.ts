import { crc32 } from 'node:zlib';
import { AwsError } from './aws-error.ts';
import type { Call, FakeService, Protocol, Reply } from './service.ts';
import { hmac, type SignatureFaultKind, sha256, type Verified } from './sigv4.ts';

const CODES: Readonly<Record<SignatureFaultKind, readonly [code: string, status: number]>> = {
  missing: ['AccessDenied', 403],
  incomplete: ['AuthorizationHeaderMalformed', 400],
  'unknown-key': ['InvalidAccessKeyId', 403],
  'bad-token': ['InvalidToken', 400],
  'token-expired': ['ExpiredToken', 400],
  skewed: ['RequestTimeTooSkewed', 403],
  'link-expired': ['AccessDenied', 403],
  'unsigned-header': ['AccessDenied', 403],
  'wrong-payload': ['XAmzContentSHA256Mismatch', 400],
  mismatch: ['SignatureDoesNotMatch', 403],
};

/** A chunk is at least so long, but for the last two (the last one is empty). */
const MIN_CHUNK = 8 * 1024;
const EMPTY = sha256('');

/** S3, in memory, addressed by path: objects are put and got, uploads may be streamed in chunks. */
export class ObjectStore {
  readonly objects = new Map<string, Buffer>();

  readonly service: FakeService = {
    name: 's3',
    protocol: restXml(),
    operations: {
      PUT: (_input, call) => this.#put(call),
      GET: (_input, call) => this.#get(call),
    },
  };

  #put(call: Call): Reply {
    this.objects.set(keyOf(call), contentOf(call));
    return { status: 200, headers: { etag: '"x"' }, body: '' };
  }

  #get(call: Call): Reply {
    const object = this.objects.get(keyOf(call));
    if (object === undefined)
      throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404);
    return { status: 200, headers: {}, body: object };
  }
}

function keyOf({ request }: Call): string {
  return decodeURIComponent(request.url.split('?')[0] as string);
}

/** @throws AwsError for chunks whose signatures do not hold */
function contentOf({ request, verified }: Call): Buffer {
  const { payloadHash } = verified;
  if (!payloadHash.startsWith('STREAMING-')) {
    checkSum(request.body, String(request.headers[CHECKSUM] ?? ''));
    return request.body;
  }
  const signer = payloadHash.includes('UNSIGNED') ? undefined : verified;
  const { content, rest, previous } = decodeChunks(request.body, signer);
  const trailers = readTrailers(rest, previous, signer);
  const announced = request.headers['x-amz-trailer'];
  if (payloadHash.endsWith('-TRAILER') !== (announced !== undefined) || trailers.size > 1) {
    throw new AwsError('MalformedTrailerError', 'The trailers are not those that were announced.');
  }
  if (announced !== undefined) checkSum(content, trailers.get(String(announced)) ?? 'missing');
  const told = Number(request.headers['x-amz-decoded-content-length']);
  if (content.length === told) return content;
  throw new AwsError(
    'IncompleteBody',
    'The body is not as long as x-amz-decoded-content-length says.',
  );
}

const CHECKSUM = 'x-amz-checksum-crc32';

/** @param told in base64, big-endian; empty: none was told @throws AwsError */
function checkSum(content: Buffer, told: string): void {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(content));
  if (told === '' || told === sum.toString('base64')) return;
  throw new AwsError('BadDigest', 'The CRC32 you specified did not match the calculated checksum.');
}

/** What stands behind the last chunk, and the signature over it. @throws AwsError */
function readTrailers(
  rest: string,
  previous: string,
  verified: Verified | undefined,
): Map<string, string> {
  const lines = rest.split('\r\n').filter((line) => line !== '');
  const last = lines.at(-1) ?? '';
  const signature = /^x-amz-trailer-signature:([0-9a-f]{64})$/.exec(last)?.[1];
  const trailers = signature === undefined ? lines : lines.slice(0, -1);
  if (trailers.length > 0 && verified !== undefined) {
    const content = trailers.map((line) => `${line}\n`).join('');
    const { dateTime, scope, signingKey } = verified;
    const text = ['AWS4-HMAC-SHA256-TRAILER', dateTime, scope, previous, sha256(content)];
    if (hmac(signingKey, text.join('\n')).toString('hex') !== signature) {
      throw new AwsError('SignatureDoesNotMatch', 'The trailers do not hold.', 403);
    }
  }
  return new Map(
    trailers.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

/** @param verified undefined: the chunks are not signed @returns what they hold, what stands behind them, the last signature */
function decodeChunks(body: Buffer, verified: Verified | undefined) {
  const contents: Buffer[] = [];
  let previous = verified?.signature ?? '';
  let at = 0;
  for (let last = false; !last; ) {
    const end = body.indexOf('\r\n', at);
    const line = body.toString('latin1', at, end);
    const [, hex = '', signature] =
      /^([0-9a-f]+)(?:;chunk-signature=([0-9a-f]{64}))?$/i.exec(line) ?? [];
    const size = Number.parseInt(hex, 16);
    if (!(size >= 0)) throw new AwsError('InvalidChunkSizeError', 'A chunk has no size.');
    const content = body.subarray(end + 2, end + 2 + size);
    if (verified !== undefined) {
      const lines = [
        'AWS4-HMAC-SHA256-PAYLOAD',
        verified.dateTime,
        verified.scope,
        previous,
        EMPTY,
        sha256(content),
      ];
      previous = hmac(verified.signingKey, lines.join('\n')).toString('hex');
      if (previous !== signature)
        throw new AwsError('SignatureDoesNotMatch', 'A chunk does not hold.', 403);
    }
    last = size === 0;
    at = end + 2 + size + (last ? 0 : 2);
    contents.push(content);
  }
  if (contents.slice(0, -2).some(({ length }) => length < MIN_CHUNK)) {
    throw new AwsError(
      'InvalidChunkSizeError',
      'Only the last chunk is allowed to have a size less than 8192 bytes',
      403,
    );
  }
  return { content: Buffer.concat(contents), rest: body.toString('latin1', at), previous };
}

/** REST with XML: the operation is the method here. */
function restXml(): Protocol {
  return {
    read: ({ method }) => ({ operation: method, input: {} }),
    answer: (_operation, output) => output as Reply,
    refuse: ({ code, message, status }, id) => ({
      status,
      headers: { 'content-type': 'application/xml' },
      body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message.split('\n')[0]}</Message><RequestId>${id}</RequestId></Error>`,
    }),
    signatureError({ kind, message }) {
      const [code, status] = CODES[kind];
      return new AwsError(code, message, status);
    },
  };
}
