import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN } from '../../../test/support/aws/fake-aws.ts';
import { sha256, verifySignature } from '../../../test/support/aws/sigv4.ts';
import { applied, requestTo } from '../../../test/support/injected-request.ts';
import type { InjectedRequest } from '../../core/injection.ts';
import { sigv4Changes } from './sigv4.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const TEMPORARY = { ...ADMIN, accessKeyId: 'ASIATEMPORARY', sessionToken: 'a/token+with=signs' };
const KNOWN = new Map([ADMIN, TEMPORARY].map((one) => [one.accessKeyId, one]));

/** Signs as the gateway does, and verifies as AWS does. */
function verified(
  service: string,
  request: InjectedRequest,
  identity: typeof TEMPORARY | typeof ADMIN = ADMIN,
) {
  const kind = {
    kind: 'sigv4',
    service,
    region: 'ap-northeast-1',
    identity: undefined,
    maxBodyBytes: 1,
  } as const;
  const sessionToken = 'sessionToken' in identity ? (identity.sessionToken as string) : undefined;
  const changes = sigv4Changes(kind, request, { ...identity, sessionToken }, NOW);
  const arrived = applied(request, changes);
  return { changes, arrived, ...verifySignature(arrived, KNOWN, NOW) };
}

const JSON_CALL = requestTo('https://dynamodb.ap-northeast-1.amazonaws.com/', {
  method: 'POST',
  headers: [
    ['Content-Type', 'application/x-amz-json-1.0'],
    ['X-Amz-Target', 'DynamoDB_20120810.GetItem'],
    ['X-Amz-Date', '20200101T000000Z'],
    [
      'Authorization',
      'AWS4-HMAC-SHA256 Credential=dummy/20200101/us-east-1/dynamodb/aws4_request, …',
    ],
    ['User-Agent', 'aws-sdk'],
  ],
  body: Buffer.from('{"TableName":"orders"}'),
});

test('a call of a JSON service is signed anew with its body', () => {
  const { identity, service, arrived } = verified('dynamodb', JSON_CALL);
  assert.deepEqual([identity.arn, service], [ADMIN.arn, 'dynamodb']);
  assert.doesNotMatch(String(arrived.headers.authorization), /dummy/);
  const tampered = { ...arrived, body: Buffer.from('{"TableName":"users"}') };
  assert.throws(() => verifySignature(tampered, KNOWN, NOW), { kind: 'mismatch' });
});

test('a call of a query service is signed anew, its form or its query', () => {
  const form = Buffer.from('Action=GetCallerIdentity&Version=2011-06-15');
  const headers = [['content-type', 'application/x-www-form-urlencoded']] as const;
  verified('sts', requestTo('https://sts.amazonaws.com/', { method: 'POST', headers, body: form }));
  verified(
    'sts',
    requestTo('https://sts.amazonaws.com/?Version=2011-06-15&Action=GetCallerIdentity'),
  );
});

test('temporary credentials show their token, and never the client’s', () => {
  const headers = [...JSON_CALL.headers, ['X-Amz-Security-Token', 'the client’s']] as const;
  const { arrived } = verified('dynamodb', { ...JSON_CALL, headers }, TEMPORARY);
  assert.equal(arrived.headers['x-amz-security-token'], TEMPORARY.sessionToken);
});

test('paths and queries with characters of every sort hold', () => {
  for (const target of [
    '/a%20b/c+d/%E6%97%A5',
    "/x?b=2&a=1&a=0&empty&sp=a%20b+c&quote='()*!",
    '/x?%E6%97%A5=%7E~&plus=%2B',
    '/?list-type=2&prefix=a%2Fb',
  ]) {
    for (const service of ['s3', 'execute-api']) {
      verified(service, requestTo(`https://host.example${target}`));
    }
  }
});

test('a signed link is signed anew as a link, with nothing left of the client’s signature', () => {
  const link = requestTo(
    'https://bucket.s3.ap-northeast-1.amazonaws.com/a.txt?x-id=GetObject&X-Amz-Algorithm=AWS4-HMAC-SHA256' +
      '&X-Amz-Credential=dummy%2F20200101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20200101T000000Z' +
      `&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=${'0'.repeat(64)}`,
  );
  const { arrived } = verified('s3', link, TEMPORARY);
  assert.match(arrived.url, /x-id=GetObject/);
  assert.doesNotMatch(arrived.url, /dummy|0{64}|604800/);
});

test('S3 is told the hash that the client told, or takes the body unsigned', () => {
  const put = (headers: [string, string][], body: string) =>
    verified(
      's3',
      requestTo('https://b.s3.ap-northeast-1.amazonaws.com/k%2B/ü'.replace('ü', '%C3%BC'), {
        method: 'PUT',
        headers,
        body: Buffer.from(body),
      }),
    );
  assert.equal(put([], 'content').payloadHash, 'UNSIGNED-PAYLOAD');
  assert.equal(
    put([['x-amz-content-sha256', sha256('content')]], 'content').payloadHash,
    sha256('content'),
  );
  assert.throws(() => put([['x-amz-content-sha256', sha256('other')]], 'content'), {
    kind: 'wrong-payload',
  });
  assert.throws(
    () => put([['x-amz-content-sha256', 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD']], ''),
    {
      reason: 'request-invalid',
    },
  );
});

test('every header of AWS’s own is signed, also one that comes twice', () => {
  const headers = [
    ['X-Amz-Meta-Tag', 'a   b '],
    ['x-amz-meta-tag', 'c'],
    ['x-amz-acl', 'private'],
  ] as const;
  const { arrived } = verified(
    's3',
    requestTo('https://b.s3.example/k', { method: 'PUT', headers }),
  );
  assert.match(
    String(arrived.headers.authorization),
    /SignedHeaders=host;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-meta-tag,/,
  );
});

test('a path that services read differently is not signed', () => {
  for (const path of ['/a/../b', '/a//b', '/./a']) {
    assert.throws(() => verified('execute-api', requestTo(`https://h.example${path}`)), {
      reason: 'request-invalid',
    });
  }
});
