import { createHash, createHmac } from 'node:crypto';

/** Who signs. */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken: string | undefined;
}

/** What a signature is for, and when. */
export interface SigningScope {
  readonly service: string;
  readonly region: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Signable {
  readonly method: string;
  readonly path: string;
  readonly query: AwsQuery;
  /** Of those that are signed: names in lower case, in order, no name twice. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** What stands for the body. */
  readonly payloadHash: string;
}

export type AwsQuery = readonly (readonly [name: string, value: string])[];

const ALGORITHM = 'AWS4-HMAC-SHA256';

/**
 * Signs for AWS (Signature Version 4,
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 */
export class Signer {
  readonly dateTime: string;
  readonly scope: string;
  readonly #service: string;
  readonly #key: Buffer;

  constructor({ secretAccessKey }: AwsIdentity, { service, region, now }: SigningScope) {
    this.dateTime = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
    const date = this.dateTime.slice(0, 8);
    this.scope = `${date}/${region}/${service}/aws4_request`;
    this.#service = service;
    const ofRegion = hmac(hmac(`AWS4${secretAccessKey}`, date), region);
    this.#key = hmac(hmac(ofRegion, service), 'aws4_request');
  }

  /** Hexadecimal. */
  sign({ method, path, query, headers, payloadHash }: Signable): string {
    const canonical = [
      method,
      // S3 takes the path as it was sent; all others encode it once more.
      this.#service === 's3' ? path : path.split('/').map(encodeAws).join('/'),
      canonicalQuery(query),
      ...headers.map(([name, value]) => `${name}:${value.trim().replace(/ {2,}/g, ' ')}`),
      '',
      signedHeaders(headers),
      payloadHash,
    ].join('\n');
    return this.signText(ALGORITHM, sha256(canonical));
  }

  /** Of a piece of a body, or of its trailers. @param lines what follows the scope */
  signText(algorithm: string, ...lines: readonly string[]): string {
    return hmac(this.#key, [algorithm, this.dateTime, this.scope, ...lines].join('\n')).toString(
      'hex',
    );
  }

  authorization({ accessKeyId }: AwsIdentity, signable: Signable, signature: string): string {
    const credential = `Credential=${accessKeyId}/${this.scope}`;
    const signed = `SignedHeaders=${signedHeaders(signable.headers)}`;
    return `${ALGORITHM} ${credential}, ${signed}, Signature=${signature}`;
  }

  /** What a signed link says of its signature, but for the signature itself. */
  parameters(
    { accessKeyId, sessionToken }: AwsIdentity,
    headers: Signable['headers'],
    seconds: number,
  ): AwsQuery {
    return [
      ['X-Amz-Algorithm', ALGORITHM],
      ['X-Amz-Credential', `${accessKeyId}/${this.scope}`],
      ['X-Amz-Date', this.dateTime],
      ['X-Amz-Expires', String(seconds)],
      ['X-Amz-SignedHeaders', signedHeaders(headers)],
      ...(sessionToken === undefined ? [] : [['X-Amz-Security-Token', sessionToken] as const]),
    ];
  }
}

function signedHeaders(headers: Signable['headers']): string {
  return headers.map(([name]) => name).join(';');
}

export function canonicalQuery(query: AwsQuery): string {
  return query
    .map(([name, value]) => [encodeAws(name), encodeAws(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map((pair) => pair.join('='))
    .join('&');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** All but RFC 3986's unreserved characters escaped. */
function encodeAws(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
