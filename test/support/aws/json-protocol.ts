import { AwsError } from './aws-error.ts';
import type { Protocol, Reply } from './service.ts';
import type { SignatureFaultKind } from './sigv4.ts';

const CODES: Readonly<Record<SignatureFaultKind, string>> = {
  missing: 'MissingAuthenticationTokenException',
  incomplete: 'IncompleteSignatureException',
  'unknown-key': 'UnrecognizedClientException',
  'bad-token': 'UnrecognizedClientException',
  'token-expired': 'ExpiredTokenException',
  skewed: 'InvalidSignatureException',
  'link-expired': 'InvalidSignatureException',
  'unsigned-header': 'InvalidSignatureException',
  'wrong-payload': 'InvalidSignatureException',
  mismatch: 'InvalidSignatureException',
};

/**
 * AWS JSON 1.1: the operation in X-Amz-Target, JSON both ways (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
 *
 * @param target the first part of X-Amz-Target: `AmazonSSM`
 */
export function jsonProtocol(target: string): Protocol {
  return {
    read({ headers, body }) {
      const [prefix, operation] = String(headers['x-amz-target']).split('.');
      if (prefix !== target || operation === undefined) {
        throw new AwsError('UnknownOperationException', 'the target names no operation');
      }
      return { operation, input: parse(body) };
    },
    answer: (_operation, output, id) => reply(200, output ?? {}, id),
    refuse: ({ code, message, status }, id) => reply(status, { __type: code, message }, id),
    signatureError: ({ kind, message }) => new AwsError(CODES[kind], message),
  };
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(body.toString() || '{}');
  } catch {
    throw new AwsError('SerializationException', 'the body is not JSON');
  }
}

function reply(status: number, body: unknown, id: string): Reply {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': id },
    body: JSON.stringify(body),
  };
}
