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
  if (!payloadHash.startsWith('STREAMING-')) return request.body;
  const content = decodeChunks(
    request.body,
    payloadHash.includes('UNSIGNED') ? undefined : verified,
  );
  const told = Number(request.headers['x-amz-decoded-content-length']);
  if (content.length === told) return content;
  throw new AwsError(
    'IncompleteBody',
    'The body is not as long as x-amz-decoded-content-length says.',
  );
}

/** @param verified undefined: the chunks are not signed */
function decodeChunks(body: Buffer, verified: Verified | undefined): Buffer {
  const contents: Buffer[] = [];
  let previous = verified?.signature ?? '';
  for (let at = 0, last = false; !last; ) {
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
  return Buffer.concat(contents);
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
