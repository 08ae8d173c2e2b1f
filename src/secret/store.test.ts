import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { throttled } from '../../test/support/aws/aws-error.ts';
import { ADMIN, startFakeAws } from '../../test/support/aws/fake-aws.ts';
import { SecretsManager } from '../../test/support/aws/secrets-manager.ts';
import { ParameterStore } from '../../test/support/aws/ssm.ts';
import {
  createSecretStore,
  secretsManagerRef,
  ssmRef,
  vaultRef,
} from '../../test/support/secret-store.ts';
import { startFakeVault } from '../../test/support/vault.ts';
import { ParameterStore as SsmSource } from './ssm.ts';

const TTL = 60_000;

test('a new version of a parameter is used once the TTL is over', async (t) => {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  parameters.put('/github', 'first');
  const { store, clock } = createSecretStore(aws.env());
  const read = async () => {
    const { secret, version } = await store.current(ssmRef('/github'), TTL);
    return [secret.reveal(), version];
  };
  assert.deepEqual(await read(), ['first', '1']);
  parameters.put('/github', 'second');
  assert.deepEqual(await read(), ['first', '1']);
  clock.ms = TTL;
  assert.deepEqual(await read(), ['second', '2']);
});

test('a parameter that is missing, denied, throttled or slow is told as that, and nothing is kept of it', async (t) => {
  const parameters = new ParameterStore();
  const denied = {
    ...ADMIN,
    allows: (_action: string, resource: string) => !/denied/.test(resource),
  };
  const aws = await startFakeAws([parameters.service], { identities: [denied] });
  t.after(aws.close);
  parameters.put('/denied', 'x');
  parameters.put('/broken', 'two\nlines');
  parameters.put('/fine', 'fine');
  const { store, reads } = createSecretStore(aws.env(), { patienceMs: 1_000 });
  const read = async (name: string) => (await store.current(ssmRef(name), TTL)).secret.reveal();
  await assert.rejects(read('/missing'), { code: 'missing' });
  await assert.rejects(read('/denied'), { code: 'denied' });
  await assert.rejects(read('/broken'), { code: 'invalid' });
  aws.disturbances.fail('GetParameter', throttled());
  await assert.rejects(read('/fine'), { code: 'throttled' });
  aws.disturbances.heal();
  aws.disturbances.hold('GetParameter');
  await assert.rejects(read('/fine'), { code: 'slow' });
  aws.disturbances.release();
  assert.equal(await read('/fine'), 'fine');
  assert.deepEqual(
    reads.map((read) => read.split(' ')[1]),
    ['missing', 'denied', 'invalid', 'throttled', 'slow', 'read'],
  );
});

test('all parameters below a path are read through every page, or none is', async (t) => {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  parameters.pageSize = 2;
  for (const name of ['a', 'b', 'c', 'd', 'e']) parameters.put(`/p/host/headers/${name}`, name);
  parameters.put('/p/host.example/headers/x', 'another host');
  const { store } = createSecretStore(aws.env());
  aws.disturbances.fail('GetParametersByPath', throttled(), (number) => number === 2);
  await assert.rejects(store.below('/p/host', TTL), { code: 'throttled' });
  const { parameters: read, version } = await store.below('/p/host', TTL);
  assert.deepEqual(
    [...read.keys()],
    ['a', 'b', 'c', 'd', 'e'].map((name) => `headers/${name}`),
  );
  assert.match(version ?? '', /^headers\/a:1,headers\/b:1,/);
  await assert.rejects(store.below('/p/nobody', TTL), { code: 'missing' });
});

test('what is throttled once is asked for again by the SDK, in the time that there is', async (t) => {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  parameters.put('/github', 'sesame');
  aws.disturbances.fail('GetParameter', throttled(), (number) => number === 1);
  const { store, reads } = createSecretStore({ ...aws.env(), AWS_MAX_ATTEMPTS: '3' });
  assert.equal((await store.current(ssmRef('/github'), TTL)).secret.reveal(), 'sesame');
  assert.deepEqual(reads, ['ssm read']);
  assert.equal(aws.count('GetParameter'), 2);
});

test('what is throttled for longer than anybody waits is asked for no more', async (t) => {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  aws.disturbances.fail('GetParameter', throttled());
  const source = await SsmSource.open({ env: { ...aws.env(), AWS_MAX_ATTEMPTS: '50' } });
  const ref = { from: 'ssm', name: '/github', at: ssmRef('/github').at } as const;
  await assert.rejects(source.fetch(ref, AbortSignal.timeout(300)), { code: 'slow' });
  assert.ok(aws.count('GetParameter') < 10);
});

test('one key of a secret of Secrets Manager, in its current version', async (t) => {
  const secrets = new SecretsManager();
  const aws = await startFakeAws([secrets.service]);
  t.after(aws.close);
  secrets.put('orders', JSON.stringify({ password: 'old' }));
  const version = secrets.put('orders', JSON.stringify({ password: 'sesame', port: 5432 }));
  secrets.put('plain', 'sesame, not JSON');
  const { store, failures } = createSecretStore(aws.env());
  const read = (id: string, key?: string) => store.current(secretsManagerRef(id, key), TTL);
  const current = await read('orders', 'password');
  assert.deepEqual([current.secret.reveal(), current.version], ['sesame', version]);
  assert.equal((await read('plain')).secret.reveal(), 'sesame, not JSON');
  await assert.rejects(read('orders', 'username'), { code: 'missing' });
  await assert.rejects(read('orders', 'port'), { code: 'invalid' });
  await assert.rejects(read('plain', 'password'), { code: 'invalid' });
  await assert.rejects(read('nothing'), { code: 'missing' });
  assert.doesNotMatch(failures.join(), /sesame/);
});

test('a secret of Vault with its version, and what Vault refuses told as that', async (t) => {
  const vault = await startFakeVault('a-token', 'team-a');
  t.after(vault.close);
  vault.put('orders/db', { password: 'sesame' });
  vault.put('orders/db', { password: 'sesame 2', tags: [] });
  const env = { VAULT_ADDR: vault.url, VAULT_TOKEN: 'a-token', VAULT_NAMESPACE: 'team-a' };
  const { store, failures } = createSecretStore(env);
  const read = (path: string, key = 'password') => store.current(vaultRef(path, key), TTL);
  const current = await read('secret/orders/db');
  assert.deepEqual([current.secret.reveal(), current.version], ['sesame 2', '2']);
  await assert.rejects(read('secret/orders/none'), { code: 'missing' });
  await assert.rejects(read('secret/orders/db', 'tags'), { code: 'invalid' });
  for (const [status, code] of [
    [429, 'throttled'],
    [503, 'unavailable'],
    [403, 'denied'],
  ] as const) {
    vault.answer = { status, body: '{"errors":["sealed"]}' };
    await assert.rejects(read('secret/a/b'), { code });
  }
  vault.answer = { status: 200, body: '{"data":{"data":"sesame"}}' };
  await assert.rejects(read('secret/a/b'), { code: 'invalid' });
  assert.doesNotMatch(failures.join(), /sesame/);
});

test('the token of Vault follows no redirect, and crosses no network in clear', async (t) => {
  const [vault, other] = [await startFakeVault('a-token'), await startFakeVault('a-token')];
  t.after(vault.close);
  t.after(other.close);
  vault.answer = { status: 307, body: '', location: `${other.url}/v1/secret/data/a` };
  const read = (url: string) =>
    createSecretStore({ VAULT_ADDR: url, VAULT_TOKEN: 'a-token' }).store.current(
      vaultRef('secret/a', 'b'),
      TTL,
    );
  await assert.rejects(read(vault.url), { code: 'unavailable' });
  assert.equal(other.reads, 0);
  await assert.rejects(read('http://vault.example:8200'), { code: 'denied' });
});

test('a secret prints as its name, wherever it comes from', async (t) => {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  parameters.put('/github', 'sesame');
  const { store } = createSecretStore(aws.env());
  const current = await store.current(ssmRef('/github'), TTL);
  const below = await store.current(ssmRef('/github'), TTL);
  assert.doesNotMatch(
    `${inspect([current, below, store], { depth: 9 })} ${JSON.stringify(current)}`,
    /sesame/,
  );
  assert.equal(String(current.secret), '[secret ssm /github]');
});
