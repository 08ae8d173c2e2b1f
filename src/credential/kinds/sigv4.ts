import type { SigV4Credential } from '../../config/config.ts';
import { type HeadChanges, headerValues, type InjectedRequest } from '../../core/injection.ts';
import { Refusal } from '../../core/refusal.ts';
import { readQuery } from '../query-string.ts';
import { ChunkSigner } from '../sigv4/aws-chunked.ts';
import {
  type AwsIdentity,
  type AwsQuery,
  canonicalQuery,
  type Signable,
  Signer,
  sha256,
} from '../sigv4/signing.ts';

const UNSIGNED = 'UNSIGNED-PAYLOAD';
const HASH = 'x-amz-content-sha256';
/** What the client's own signature consists of. */
const SIGNATURE_HEADERS = ['authorization', 'x-amz-date', 'x-amz-security-token'];
const SIGNATURE_PARAMETERS =
  /^x-amz-(?:algorithm|credential|date|expires|signedheaders|signature|security-token)$/i;
/** For a link that is used at once. */
const LINK_SECONDS = 300;

/** Signs a request to AWS anew, in the form that the client chose: by headers, or in the query. */
export function sigv4Changes(
  kind: SigV4Credential,
  request: InjectedRequest,
  identity: AwsIdentity,
  now: number,
): HeadChanges {
  checkPath(kind, request.path);
  const sent = readQuery(request.query);
  const inQuery = sent.some(({ name }) => /^x-amz-signature$/i.test(name));
  const query = sent
    .filter(({ name }) => !SIGNATURE_PARAMETERS.test(name))
    .map(({ name, value }) => [name, value] as const);
  const signer = new Signer(identity, { ...kind, now });
  const { method, path } = request;
  const payloadHash = hashOf(kind, request, inQuery);
  const base = { method, path, query, payloadHash };
  return inQuery
    ? signQuery(signer, identity, { ...base, headers: toSign(request, []) })
    : signHeaders(signer, identity, base, kind, request);
}

/** Whether the head can be written only once the whole body is there. */
export function sigv4NeedsBody({ service }: SigV4Credential): boolean {
  return service !== 's3';
}

function signHeaders(
  signer: Signer,
  identity: AwsIdentity,
  base: Omit<Signable, 'headers'>,
  { service }: SigV4Credential,
  request: InjectedRequest,
): HeadChanges {
  const own: [string, string][] = [['x-amz-date', signer.dateTime]];
  if (identity.sessionToken !== undefined) {
    own.push(['x-amz-security-token', identity.sessionToken]);
  }
  if (service === 's3') own.push([HASH, base.payloadHash]);
  const signable = { ...base, headers: toSign(request, own) };
  const signature = signer.sign(signable);
  const authorization = signer.authorization(identity, signable, signature);
  const streamed = /^STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)?$/.exec(base.payloadHash);
  return {
    set: [...own, ['Authorization', authorization]],
    drop: SIGNATURE_HEADERS,
    target: target(base.path, canonicalQuery(base.query)),
    ...(streamed && { body: new ChunkSigner(signer, signature, streamed[1] !== undefined) }),
  };
}

function signQuery(signer: Signer, identity: AwsIdentity, signable: Signable): HeadChanges {
  const added = signer.parameters(identity, signable.headers, LINK_SECONDS);
  const query: AwsQuery = [...signable.query, ...added];
  const signature = signer.sign({ ...signable, query });
  const search = `${canonicalQuery(query)}&X-Amz-Signature=${signature}`;
  return { set: [], drop: SIGNATURE_HEADERS, target: target(signable.path, search) };
}

function target(path: string, search: string): string {
  return search === '' ? path : `${path}?${search}`;
}

/** Host, the type of the body, and all that is AWS's own. @param own in place of what the client sent */
function toSign(
  { authority, headers }: InjectedRequest,
  own: readonly (readonly [string, string])[],
): Signable['headers'] {
  const names = new Set(own.map(([name]) => name));
  const signed = new Map<string, string>([['host', authority], ...own]);
  for (const [sent, value] of headers) {
    const name = sent.toLowerCase();
    const counts = name === 'content-type' || name === 'content-md5' || name.startsWith('x-amz-');
    if (!counts || names.has(name) || SIGNATURE_HEADERS.includes(name)) continue;
    const before = signed.get(name);
    signed.set(name, before === undefined ? value.trim() : `${before},${value.trim()}`);
  }
  return [...signed].sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * S3 holds the body to the hash that the client told, or takes it unsigned, which over TLS is whole all the same; it
 * would be too large to look at. The others are told the hash of what was sent.
 */
function hashOf({ service }: SigV4Credential, request: InjectedRequest, inQuery: boolean): string {
  const [told] = headerValues(request, HASH);
  if (service !== 's3') return sha256(request.body ?? '');
  if (inQuery || told === undefined) return UNSIGNED;
  if (/^(?:[0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER)$/.test(told))
    return told;
  if (/^STREAMING-AWS4-HMAC-SHA256-PAYLOAD(?:-TRAILER)?$/.test(told)) return told;
  throw new Refusal('request-invalid', `${HASH} is of a form that is not signed here`);
}

/** Services but S3 resolve dots and empty segments before they verify, and not all of them alike. */
function checkPath({ service }: SigV4Credential, path: string): void {
  if (service === 's3' || !/\/\/|\/\.{1,2}(?:\/|$)/.test(path)) return;
  throw new Refusal('request-invalid', 'a path with empty or dot segments is not signed');
}
