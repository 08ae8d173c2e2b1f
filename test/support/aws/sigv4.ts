import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { SignedRequest } from './service.ts';

/** Somebody whom the fake knows. */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Present for temporary credentials, which must show it. */
  readonly sessionToken?: string;
  readonly arn: string;
  /** Milliseconds since the epoch. */
  readonly expiresMs?: number;
  /** Whether the identity's policy lets it do that; undefined: everything. */
  readonly allows?: (action: string, resource: string) => boolean;
}

export type SignatureFaultKind =
  | 'missing'
  | 'incomplete'
  | 'unknown-key'
  | 'bad-token'
  | 'token-expired'
  | 'skewed'
  | 'link-expired'
  | 'unsigned-header'
  | 'wrong-payload'
  | 'mismatch';

export class SignatureFault extends Error {
  readonly kind: SignatureFaultKind;

  constructor(kind: SignatureFaultKind, message: string) {
    super(message);
    this.name = 'SignatureFault';
    this.kind = kind;
  }
}

export interface Verified {
  readonly identity: AwsIdentity;
  readonly region: string;
  readonly service: string;
  /** `20150830T123600Z` */
  readonly dateTime: string;
  /** `20150830/us-east-1/iam/aws4_request` */
  readonly scope: string;
  readonly signingKey: Buffer;
  /** Hexadecimal: the seed of the signatures of chunks. */
  readonly signature: string;
  /** What stands for the body in the signature. */
  readonly payloadHash: string;
}

/** How far the clock of a client may be off. */
const MAX_SKEW_MS = 5 * 60_000;
const MAX_LINK_S = 7 * 86_400;

/**
 * Recomputes the signature of a request, by the description of AWS alone and with no code of the SDK
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html): in the Authorization
 * header, or in the query of a link.
 *
 * @throws SignatureFault
 */
export function verifySignature(
  request: SignedRequest,
  identities: ReadonlyMap<string, AwsIdentity>,
  now: number,
): Verified {
  const [path = '', search = ''] = splitOnce(request.url, '?');
  const query = parseQuery(search);
  const claim = readClaim(request, query);
  const { accessKeyId, scope, dateTime, signedHeaders } = claim;
  const identity = identities.get(accessKeyId);
  if (identity === undefined) {
    throw new SignatureFault(
      'unknown-key',
      'The security token included in the request is invalid.',
    );
  }
  checkTime(claim, now);
  checkToken(identity, claim.token, now);
  checkSignedHeaders(request, signedHeaders);
  const [date = '', region = '', service = ''] = scope.split('/');
  const payloadHash = hashOfPayload(request, service, claim.inQuery);
  const canonical = [
    request.method,
    service === 's3' ? path : encodePath(path),
    canonicalQuery(query),
    ...signedHeaders.map((name) => `${name}:${headerText(request, name)}`),
    '',
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', dateTime, scope, sha256(canonical)].join('\n');
  const signingKey = deriveKey(identity.secretAccessKey, date, region, service);
  const signature = hmac(signingKey, toSign).toString('hex');
  if (!equal(signature, claim.signature)) {
    const message =
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
    throw new SignatureFault('mismatch', `${message}\n\nThe Canonical String was\n${canonical}`);
  }
  return { identity, region, service, dateTime, scope, signingKey, signature, payloadHash };
}

interface Claim {
  readonly inQuery: boolean;
  readonly accessKeyId: string;
  readonly scope: string;
  readonly dateTime: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly token: string | undefined;
  /** Of a link, in seconds. */
  readonly lifetime: number | undefined;
}

type Query = readonly (readonly [name: string, value: string])[];

function readClaim({ headers }: SignedRequest, query: Query): Claim {
  const inQuery = query.some(([name]) => name === 'X-Amz-Signature');
  const parameter = (name: string) => query.find(([key]) => key === name)?.[1];
  if (!inQuery && headers.authorization === undefined) {
    throw new SignatureFault('missing', 'Missing Authentication Token');
  }
  const fields = inQuery
    ? {
        algorithm: parameter('X-Amz-Algorithm'),
        Credential: parameter('X-Amz-Credential'),
        SignedHeaders: parameter('X-Amz-SignedHeaders'),
        Signature: parameter('X-Amz-Signature'),
      }
    : authorizationFields(headers.authorization as string);
  const dateTime = inQuery ? parameter('X-Amz-Date') : one(headers['x-amz-date']);
  const { Credential = '', SignedHeaders = '', Signature = '' } = fields;
  const [accessKeyId = '', ...scope] = Credential.split('/');
  const whole =
    fields.algorithm === 'AWS4-HMAC-SHA256' &&
    /^\d{8}T\d{6}Z$/.test(dateTime ?? '') &&
    scope.length === 4 &&
    scope[3] === 'aws4_request' &&
    scope[0] === dateTime?.slice(0, 8) &&
    SignedHeaders !== '' &&
    /^[0-9a-f]{64}$/.test(Signature);
  if (!whole) {
    const what =
      "Authorization header requires 'Credential', 'Signature', 'SignedHeaders' and a date";
    throw new SignatureFault('incomplete', what);
  }
  return {
    inQuery,
    accessKeyId,
    scope: scope.join('/'),
    dateTime: dateTime as string,
    signedHeaders: SignedHeaders.split(';'),
    signature: Signature,
    token: inQuery ? parameter('X-Amz-Security-Token') : one(headers['x-amz-security-token']),
    lifetime: inQuery ? Number(parameter('X-Amz-Expires') ?? Number.NaN) : undefined,
  };
}

function authorizationFields(authorization: string): Record<string, string | undefined> {
  const [algorithm, rest = ''] = splitOnce(authorization, ' ');
  const pairs = rest.split(',').map((pair) => splitOnce(pair.trim(), '=') as [string, string]);
  return { algorithm, ...Object.fromEntries(pairs) };
}

function checkTime({ dateTime, lifetime }: Claim, now: number): void {
  const signedAt = Date.parse(
    dateTime.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  );
  const compact = (at: number) => new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');
  if (lifetime !== undefined) {
    if (!(lifetime > 0 && lifetime <= MAX_LINK_S)) {
      throw new SignatureFault('incomplete', 'X-Amz-Expires must be from 1 to 604800');
    }
    if (now > signedAt + lifetime * 1000)
      throw new SignatureFault('link-expired', 'Request has expired');
  } else if (signedAt < now - MAX_SKEW_MS) {
    const limit = compact(now - MAX_SKEW_MS);
    const message = `Signature expired: ${dateTime} is now earlier than ${limit} (${compact(now)} - 5 min.)`;
    throw new SignatureFault('skewed', message);
  }
  if (signedAt > now + MAX_SKEW_MS) {
    const limit = compact(now + MAX_SKEW_MS);
    const message = `Signature not yet current: ${dateTime} is still later than ${limit} (${compact(now)} + 5 min.)`;
    throw new SignatureFault('skewed', message);
  }
}

function checkToken(identity: AwsIdentity, token: string | undefined, now: number): void {
  if (token !== identity.sessionToken) {
    throw new SignatureFault('bad-token', 'The security token included in the request is invalid.');
  }
  if (now > (identity.expiresMs ?? Number.POSITIVE_INFINITY)) {
    throw new SignatureFault(
      'token-expired',
      'The security token included in the request is expired',
    );
  }
}

function checkSignedHeaders({ headers }: SignedRequest, signed: readonly string[]): void {
  const inOrder = [...signed].sort().join() === signed.join();
  if (!inOrder || !signed.includes('host')) {
    throw new SignatureFault('incomplete', 'SignedHeaders must name host, and be sorted');
  }
  const left = Object.keys(headers).find(
    (name) => name.startsWith('x-amz-') && !signed.includes(name),
  );
  if (left === undefined) return;
  const message = 'There were headers present in the request which were not signed';
  throw new SignatureFault('unsigned-header', message);
}

/** S3 takes the client's word for it in a header, and holds the body to that; the others hash what came. */
function hashOfPayload(request: SignedRequest, service: string, inQuery: boolean): string {
  const actual = sha256(request.body);
  const told = one(request.headers['x-amz-content-sha256']);
  if (service !== 's3') return told === 'UNSIGNED-PAYLOAD' ? told : actual;
  if (told === undefined) {
    if (inQuery) return 'UNSIGNED-PAYLOAD';
    throw new SignatureFault('incomplete', 'Missing required header: x-amz-content-sha256');
  }
  if (/^(?:UNSIGNED-PAYLOAD|STREAMING-)/.test(told) || told === actual) return told;
  const message = 'The provided x-amz-content-sha256 header does not match what was computed.';
  throw new SignatureFault('wrong-payload', message);
}

function headerText({ headers }: SignedRequest, name: string): string {
  const value = headers[name];
  const text = Array.isArray(value) ? value.join(',') : (value ?? '');
  return text.trim().replace(/ {2,}/g, ' ');
}

function parseQuery(search: string): Query {
  if (search === '') return [];
  return search.split('&').map((pair) => {
    const [name = '', value = ''] = splitOnce(pair, '=');
    return [decodeURIComponent(name), decodeURIComponent(value)];
  });
}

function canonicalQuery(query: Query): string {
  return query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)])
    .sort(([a = '', x = ''], [b = '', y = '']) => compare(a, b) || compare(x, y))
    .map((pair) => pair.join('='))
    .join('&');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Every service but S3 encodes the path as sent once more. */
function encodePath(path: string): string {
  return path.split('/').map(encode).join('/');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

export function deriveKey(secret: string, date: string, region: string, service: string): Buffer {
  const ofDate = hmac(`AWS4${secret}`, date);
  return hmac(hmac(hmac(ofDate, region), service), 'aws4_request');
}

export function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function equal(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}
