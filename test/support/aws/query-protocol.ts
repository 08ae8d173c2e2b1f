import { AwsError } from './aws-error.ts';
import type { Protocol, Reply } from './service.ts';
import type { SignatureFaultKind } from './sigv4.ts';

const CODES: Readonly<Record<SignatureFaultKind, readonly [code: string, status: number]>> = {
  missing: ['MissingAuthenticationToken', 403],
  incomplete: ['IncompleteSignature', 400],
  'unknown-key': ['InvalidClientTokenId', 403],
  'bad-token': ['InvalidClientTokenId', 403],
  'token-expired': ['ExpiredToken', 403],
  skewed: ['SignatureDoesNotMatch', 403],
  'link-expired': ['SignatureDoesNotMatch', 403],
  'unsigned-header': ['SignatureDoesNotMatch', 403],
  'wrong-payload': ['SignatureDoesNotMatch', 403],
  mismatch: ['SignatureDoesNotMatch', 403],
};

/**
 * AWS Query: `Action` and flat parameters (`Filter.1.Name`) in a form, XML back
 * (https://smithy.io/2.0/aws/protocols/aws-query-protocol.html).
 *
 * @param namespace of the answers: `https://sts.amazonaws.com/doc/2011-06-15/`
 */
export function queryProtocol(namespace: string): Protocol {
  return {
    read({ method, url, body }) {
      const form = method === 'GET' ? (url.split('?')[1] ?? '') : body.toString();
      const { Action: operation, ...input } = Object.fromEntries(new URLSearchParams(form));
      if (operation === undefined) throw new AwsError('MissingAction', 'Missing Action');
      return { operation, input };
    },
    answer: (operation, output, id) =>
      xmlReply(
        200,
        `<${operation}Response xmlns="${namespace}"><${operation}Result>${toXml(output)}</${operation}Result>` +
          `<ResponseMetadata><RequestId>${id}</RequestId></ResponseMetadata></${operation}Response>`,
      ),
    refuse: ({ code, message, status }, id) =>
      xmlReply(
        status,
        `<ErrorResponse xmlns="${namespace}">${toXml({ Error: { Type: 'Sender', Code: code, Message: message }, RequestId: id })}</ErrorResponse>`,
      ),
    signatureError({ kind, message }) {
      const [code, status] = CODES[kind];
      return new AwsError(code, message, status);
    },
  };
}

export function xmlReply(status: number, xml: string): Reply {
  return { status, headers: { 'content-type': 'text/xml' }, body: `<?xml version="1.0"?>\n${xml}` };
}

/** `{ a: 1, b: ['x', 'y'] }` as `<a>1</a><b>x</b><b>y</b>`; undefined is left out. */
export function toXml(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object') return escapeXml(String(value));
  return Object.entries(value)
    .flatMap(([name, inner]) => (Array.isArray(inner) ? inner : [inner]).map((one) => [name, one]))
    .filter(([, one]) => one !== undefined)
    .map(([name, one]) => `<${name}>${toXml(one)}</${name}>`)
    .join('');
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
