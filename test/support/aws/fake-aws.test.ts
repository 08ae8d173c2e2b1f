import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  GetParameterCommand,
  GetParametersByPathCommand,
  paginateGetParametersByPath,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { throttled } from './aws-error.ts';
import { ADMIN, startFakeAws } from './fake-aws.ts';
import { SecretsManager } from './secrets-manager.ts';
import type { AwsIdentity } from './sigv4.ts';
import { ParameterStore } from './ssm.ts';

const TEMPORARY: AwsIdentity = {
  accessKeyId: 'ASIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'temporary',
  sessionToken: 'a token with / and =',
  arn: 'arn:aws:sts::123456789012:assumed-role/gateway/i-1',
  allows: (_action, resource) => !resource.includes('forbidden'),
};

function clientOptions(endpoint: string, identity: AwsIdentity = ADMIN) {
  return { endpoint, region: 'ap-northeast-1', credentials: identity, maxAttempts: 1 };
}

test('the SDK reads parameters through every page, whoever it is signed by', async (t) => {
  const store = new ParameterStore();
  const aws = await startFakeAws([store.service], { identities: [ADMIN, TEMPORARY] });
  t.after(aws.close);
  for (let i = 0; i < 23; i++) store.put(`/p/h/headers/x-${i}`, `value ${i}`);
  store.put('/p/other', 'x');
  for (const identity of [ADMIN, TEMPORARY]) {
    const client = new SSMClient(clientOptions(aws.url, identity));
    const pages: number[] = [];
    for await (const page of paginateGetParametersByPath(
      { client },
      { Path: '/p/h', Recursive: true, WithDecryption: true },
    )) {
      pages.push(page.Parameters?.length ?? 0);
    }
    assert.deepEqual(pages, [10, 10, 3]);
  }
});

test('a SecureString is in clear only when asked for, and has versions', async (t) => {
  const store = new ParameterStore();
  const aws = await startFakeAws([store.service]);
  t.after(aws.close);
  store.put('/one', 'first');
  store.put('/one', 'second');
  const client = new SSMClient(clientOptions(aws.url));
  const read = async (Name: string, WithDecryption: boolean) =>
    (await client.send(new GetParameterCommand({ Name, WithDecryption }))).Parameter;
  assert.notEqual((await read('/one', false))?.Value, 'second');
  assert.deepEqual(
    [(await read('/one', true))?.Value, (await read('/one', true))?.Version],
    ['second', 2],
  );
  assert.equal((await read('/one:1', true))?.Value, 'first');
  await assert.rejects(read('/two', true), { name: 'ParameterNotFound' });
  await assert.rejects(read('/one:3', true), { name: 'ParameterVersionNotFound' });
  const tooMany = new GetParametersByPathCommand({ Path: '/', MaxResults: 11 });
  await assert.rejects(client.send(tooMany), { name: 'ValidationException' });
});

test('whoever has no right, no key, the wrong secret or a wrong clock is told so as AWS does', async (t) => {
  const store = new ParameterStore();
  let now = Date.now();
  const aws = await startFakeAws([store.service], { identities: [TEMPORARY], now: () => now });
  t.after(aws.close);
  store.put('/forbidden', 'x');
  const read = (identity: AwsIdentity) =>
    new SSMClient(clientOptions(aws.url, identity)).send(
      new GetParameterCommand({ Name: '/forbidden' }),
    );
  await assert.rejects(read(TEMPORARY), { name: 'AccessDeniedException' });
  await assert.rejects(read(ADMIN), { name: 'UnrecognizedClientException' });
  await assert.rejects(read({ ...TEMPORARY, secretAccessKey: 'wrong' }), {
    name: 'InvalidSignatureException',
    message: /does not match/,
  });
  await assert.rejects(read({ ...TEMPORARY, sessionToken: 'other' }), {
    name: 'UnrecognizedClientException',
  });
  now += 6 * 60_000;
  await assert.rejects(read(TEMPORARY), {
    name: 'InvalidSignatureException',
    message: /Signature expired: .* is now earlier than/,
  });
});

test('the n-th call fails on request', async (t) => {
  const store = new ParameterStore();
  const aws = await startFakeAws([store.service]);
  t.after(aws.close);
  store.put('/one', 'x');
  aws.disturbances.fail('GetParameter', throttled(), (number) => number === 2);
  const client = new SSMClient(clientOptions(aws.url));
  const read = () => client.send(new GetParameterCommand({ Name: '/one' }));
  await read();
  await assert.rejects(read(), { name: 'ThrottlingException' });
  await read();
  assert.equal(aws.count('GetParameter'), 3);
});

test('secrets have a current and a previous version', async (t) => {
  const store = new SecretsManager();
  const aws = await startFakeAws([store.service]);
  t.after(aws.close);
  const client = new SecretsManagerClient(clientOptions(aws.url));
  const read = async (SecretId: string, VersionStage?: string) =>
    client.send(new GetSecretValueCommand({ SecretId, VersionStage }));
  store.put('orders', 'one');
  store.put('orders', 'two');
  const current = await read('orders');
  assert.equal(current.SecretString, 'two');
  assert.equal((await read(current.ARN as string, 'AWSPREVIOUS')).SecretString, 'one');
  await assert.rejects(read('shop'), { name: 'ResourceNotFoundException' });
  store.delete('orders');
  await assert.rejects(read('orders'), { name: 'InvalidRequestException' });
});
