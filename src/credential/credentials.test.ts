import assert from 'node:assert/strict';
import { createHash, createHmac, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { accessDenied, internalError, throttled } from '../../test/support/aws/aws-error.ts';
import { type FakeAws, startFakeAws } from '../../test/support/aws/fake-aws.ts';
import { ParameterStore } from '../../test/support/aws/ssm.ts';
import { createCertificates } from '../../test/support/certificates.ts';
import { loadFiles } from '../../test/support/config.ts';
import { applied, requestTo } from '../../test/support/injected-request.ts';
import { createSecretStore } from '../../test/support/secret-store.ts';
import { type SeenRequest, startHttpsUpstream } from '../../test/support/upstreams.ts';
import type { CredentialConfig } from '../config/config.ts';
import { secretRefs } from '../config/secret-refs.ts';
import type { Destination } from '../core/destination.ts';
import type { InjectedRequest } from '../core/injection.ts';
import type { Secret } from '../core/secret.ts';
import { readSecrets } from '../secret/read.ts';
import { Credentials, type CredentialUse } from './credentials.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');

interface Setting {
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string>;
  /** As long as a busy machine may take, where no test waits for its end. */
  readonly patienceMs?: number;
}

/** The credential `c` of a configuration, and what it makes of requests. */
function setUp(credential: string, { env = {}, files = {}, patienceMs = 30_000 }: Setting = {}) {
  const yaml = `version: 1\ncredentials: { c: ${credential} }\n`;
  const { config } = loadFiles({ 'sekisho.yaml': yaml, ...files }, env);
  const secrets = readSecrets(secretRefs(config), { env });
  const { store, clock, failures, reads } = createSecretStore(env, {
    patienceMs,
    refusedMs: 10,
  });
  const told: string[] = [];
  const credentials = new Credentials({
    store,
    now: () => NOW,
    identity: () => Promise.reject(new Error('no identity in this test')),
    unusable: (credential, { message }) => told.push(`${credential}: ${message}`),
  });
  const uses: CredentialUse[] = [];
  const inject = async (request: InjectedRequest) => {
    const destination: Destination = { scheme: 'https', host: request.host, port: 443 };
    const granted = credentials.grant(config.credentials[0] as CredentialConfig, {
      destination,
      held: (ref) => secrets.get(ref) as Secret,
      used: (use) => uses.push(use),
    });
    const injected = await granted.inject(request);
    return { ...injected, arrived: applied(request, injected.changes) };
  };
  return { inject, uses, clock, failures, reads, told };
}

const REQUEST = requestTo('https://api.example/v1/items?a=1', {
  headers: [
    ['authorization', 'Bearer of-the-client'],
    ['X-Other', 'stays'],
  ],
});

test('a header is put together from texts and secrets, in place of every one of the client’s', async () => {
  const { inject, uses } = setUp(
    '{ for: api.example, header: { Authorization: ["token ", { env: T }] } }',
    {
      env: { T: 'abc-123' },
    },
  );
  const { arrived } = await inject(REQUEST);
  assert.equal(arrived.headers.authorization, 'token abc-123');
  assert.equal(arrived.headers['x-other'], 'stays');
  assert.deepEqual(uses, [{ name: 'c', version: undefined }]);
});

test('basic credentials are encoded as UTF-8', async () => {
  const { inject } = setUp('{ for: api.example, basic: { username: gw, password: { env: T } } }', {
    env: { T: 'pässword' },
  });
  const { arrived, redaction } = await inject(REQUEST);
  const value = Buffer.from('gw:pässword').toString('base64');
  assert.equal(arrived.headers.authorization, `Basic ${value}`);
  assert.equal(redaction.text(`Basic ${value}`), `Basic ${'*'.repeat(value.length)}`);
});

test('a parameter of the query replaces those of its name, however they are spelled', async () => {
  const { inject } = setUp('{ for: api.example, query: { api_key: { env: T } } }', {
    env: { T: 'a&b=c d' },
  });
  const request = requestTo('https://api.example/x?api%5Fkey=mine&q=%zz+1&api_key=mine');
  assert.equal((await inject(request)).arrived.url, '/x?q=%zz+1&api_key=a%26b%3Dc%20d');
  assert.equal(
    (await inject(requestTo('https://api.example/x'))).arrived.url,
    '/x?api_key=a%26b%3Dc%20d',
  );
});

test('a secret in the path stands around the path that was asked for', async () => {
  const { inject } = setUp('{ for: api.example, path: ["/bot", { env: T }, "{path}"] }', {
    env: { T: '123:AB/C?#' },
  });
  const request = requestTo('https://api.example/sendMessage?chat=$&1');
  assert.equal((await inject(request)).arrived.url, '/bot123:AB%2FC%3F%23/sendMessage?chat=$&1');
});

test('an HMAC signs the parts of the request that it is told to', async () => {
  const { inject } = setUp(
    `{ for: api.example, hmac: { secret: { env: T }, sign: '{timestamp}\\n{method}\\n{path}?{query}\\n{bodyHash}',
       header: { X-Signature: "v1={signature}", X-Timestamp: "{timestamp}" } } }`,
    { env: { T: 'sesame' } },
  );
  const body = Buffer.from([0xff, 0x00]);
  const { arrived } = await inject({ ...REQUEST, method: 'POST', body });
  const bodyHash = createHash('sha256').update(body).digest('hex');
  const signed = `${NOW / 1000}\nPOST\n/v1/items?a=1\n${bodyHash}`;
  const expected = createHmac('sha256', 'sesame').update(signed).digest('hex');
  assert.equal(arrived.headers['x-signature'], `v1=${expected}`);
  assert.equal(arrived.headers['x-timestamp'], String(NOW / 1000));
});

test('a secret that cannot stand in a header is not sent, and nobody is told what it is', async () => {
  const { inject, failures } = setUp(
    '{ for: api.example, header: { Authorization: { env: T } } }',
    {
      env: { T: 'sesame 日本' },
    },
  );
  await assert.rejects(inject(REQUEST), (error: Error & { reason?: string }) => {
    assert.equal(error.reason, 'credential-unavailable');
    assert.doesNotMatch(`${error.message} ${failures}`, /sesame/);
    return true;
  });
});

test('by the convention, a host without parameters has no credential', async (t) => {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  parameters.put('/production/api.example/headers/Authorization', 'token abc-123');
  const { inject, uses } = setUp('{ convention: parameter-store, prefix: /production }', {
    env: aws.env(),
  });
  assert.equal((await inject(REQUEST)).arrived.headers.authorization, 'token abc-123');
  assert.deepEqual(uses, [{ name: 'c', version: 'headers/Authorization:1' }]);
  const other = requestTo('https://other.example/');
  await assert.rejects(inject(other), { reason: 'credential-missing' });
  // The word that there is none holds for a while.
  await assert.rejects(inject(other), { reason: 'credential-missing' });
  assert.equal(aws.count('GetParametersByPath'), 2);
});

const STORED = {
  'by the convention': ['GetParametersByPath', '{ convention: parameter-store, prefix: /p }'],
  'by its name': [
    'GetParameter',
    '{ for: api.example, header: { x-0: { ssm: /p/api.example/headers/x-0 } } }',
  ],
} as const;
const FAILING: Readonly<
  Record<
    string,
    { told: RegExp; patienceMs?: number; fail: (aws: FakeAws, operation: string) => void }
  >
> = {
  'is denied': {
    told: /denies it/,
    fail: ({ disturbances }, operation) =>
      disturbances.fail(operation, accessDenied('arn:aws:iam::1:role/gw', `ssm:${operation}`, 'x')),
  },
  'is throttled': {
    told: /too often/,
    fail: ({ disturbances }, operation) => disturbances.fail(operation, throttled()),
  },
  'is broken': {
    told: /out of reach/,
    fail: ({ disturbances }, operation) => disturbances.fail(operation, internalError()),
  },
  'is slow': {
    told: /in time/,
    patienceMs: 1_000,
    fail: ({ disturbances }, operation) => disturbances.hold(operation),
  },
};

async function startStored(
  t: TestContext,
  [operation, credential]: readonly [string, string],
  patienceMs?: number,
) {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  for (let i = 0; i < 12; i++) parameters.put(`/p/api.example/headers/x-${i}`, `${i}`);
  const { inject, uses } = setUp(credential, {
    env: aws.env(),
    ...(patienceMs !== undefined && { patienceMs }),
  });
  return {
    aws,
    /** @param told what the one who asked is told */
    async assertClosed(told: RegExp) {
      await assert.rejects(inject(REQUEST), { reason: 'credential-unavailable', message: told });
      assert.deepEqual(uses, []);
      const before = aws.count(operation);
      aws.disturbances.heal();
      aws.disturbances.release();
      const { changes } = await inject(REQUEST);
      assert.equal(changes.set.length, operation === 'GetParameter' ? 1 : 12);
      assert.ok(aws.count(operation) > before, 'it was asked again');
    },
  };
}

for (const [how, stored] of Object.entries(STORED)) {
  for (const [what, { told, patienceMs, fail }] of Object.entries(FAILING)) {
    test(`Parameter Store ${what}, asked ${how}: closed for that reason, and nothing of it is kept`, async (t) => {
      const { aws, assertClosed } = await startStored(t, stored, patienceMs);
      fail(aws, stored[0]);
      await assertClosed(told);
    });
  }
}

for (const [what, error, told] of [
  ['is denied', accessDenied('arn:aws:iam::1:role/gw', 'ssm:GetParametersByPath', 'x'), /denies/],
  ['is throttled', throttled(), /too often/],
] as const) {
  test(`a second page ${what}: closed for that reason, and nothing of the first is kept`, async (t) => {
    const { aws, assertClosed } = await startStored(t, STORED['by the convention']);
    aws.disturbances.fail('GetParametersByPath', error, (number) => number === 2);
    await assertClosed(told);
  });
}

test('what is stored and makes no credential is told to whoever runs the gateway, and to nobody else', async (t) => {
  const parameters = new ParameterStore();
  parameters.put('/p/api.example/notes/why', 'sesame-stored');
  const aws = await startFakeAws([parameters.service]);
  t.after(() => aws.close());
  const { inject, told } = setUp('{ convention: parameter-store, prefix: /p }', { env: aws.env() });
  await assert.rejects(inject(REQUEST), {
    reason: 'credential-unavailable',
    message: 'What is stored cannot be sent as a credential.',
  });
  assert.deepEqual(told, ['c: no parameter of the host is of a known type']);
});

test('a new version of a secret is used when the destination refused the old one', async (t) => {
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  parameters.put('/token', 'first-token');
  const { inject, clock } = setUp('{ for: api.example, header: { X-Key: { ssm: /token } } }', {
    env: aws.env(),
  });
  const first = await inject(REQUEST);
  parameters.put('/token', 'second-token');
  assert.equal((await inject(REQUEST)).arrived.headers['x-key'], 'first-token');
  clock.ms = 10;
  assert.equal(first.refuse(), true);
  const second = await inject(REQUEST);
  assert.equal(second.arrived.headers['x-key'], 'second-token');
  assert.equal(second.refuse(), false);
});

/** An issuer of tokens over TLS. */
async function startIssuer(t: TestContext, answer: (seen: SeenRequest) => [number, unknown]) {
  const certificates = createCertificates('127.0.0.1');
  const issuer = await startHttpsUpstream(certificates, (seen, response) => {
    const [status, body] = answer(seen);
    response.writeHead(status, { location: 'https://127.0.0.1:1/' }).end(JSON.stringify(body));
  });
  t.after(issuer.close);
  const files = { 'ca.pem': certificates.ca.toString() };
  return {
    issuer,
    files,
    url: `https://127.0.0.1:${issuer.port}`,
    tls: 'tls: { ca: { file: ca.pem } }',
  };
}

test('an OAuth 2 token is got once, used until it ends, and got anew', async (t) => {
  let issued = 0;
  const { issuer, files, url, tls } = await startIssuer(t, () => [
    200,
    { access_token: `token-${++issued}`, token_type: 'bearer', expires_in: 600 },
  ]);
  const { inject, clock } = setUp(
    `{ for: api.example, ${tls}, oauth2: { tokenUrl: "${url}/token", clientId: "a b", clientSecret: { env: T }, scope: [read, write] } }`,
    { env: { T: 's:e' }, files },
  );
  const all = await Promise.all([inject(REQUEST), inject(REQUEST)]);
  assert.deepEqual(
    all.map(({ arrived }) => arrived.headers.authorization),
    ['Bearer token-1', 'Bearer token-1'],
  );
  assert.equal(issuer.requests.length, 1);
  const [{ headers, body } = { headers: {}, body: '' }] = issuer.requests;
  assert.equal(headers.authorization, `Basic ${Buffer.from('a+b:s%3Ae').toString('base64')}`);
  assert.equal(body, 'grant_type=client_credentials&scope=read+write');
  clock.ms = 540_000;
  assert.equal((await inject(REQUEST)).arrived.headers.authorization, 'Bearer token-2');
});

test('an issuer that refuses, redirects or gives something else closes the way', async (t) => {
  const answers: [number, unknown][] = [
    [401, { error: 'invalid_client', error_description: 'sesame' }],
    [302, {}],
    [200, { access_token: 'x\r\ny', token_type: 'bearer' }],
    [200, { access_token: 'x', token_type: 'mac' }],
    [500, {}],
  ];
  const { files, url, tls } = await startIssuer(t, () => answers.shift() ?? [500, {}]);
  const { inject, failures } = setUp(
    `{ for: api.example, ${tls}, oauth2: { tokenUrl: "${url}/token", clientId: a, clientSecret: { env: T }, authenticate: body } }`,
    { env: { T: 'sesame' }, files },
  );
  while (answers.length > 0)
    await assert.rejects(inject(REQUEST), { reason: 'credential-unavailable' });
  assert.doesNotMatch(failures.join(), /sesame/);
});

test('an issuer whose certificate does not hold is told no secret', async (t) => {
  const { issuer, url } = await startIssuer(t, () => [200, {}]);
  const { inject } = setUp(
    `{ for: api.example, oauth2: { tokenUrl: "${url}/token", clientId: a, clientSecret: { env: T } } }`,
    { env: { T: 'sesame' } },
  );
  await assert.rejects(inject(REQUEST), { reason: 'credential-unavailable' });
  assert.equal(issuer.requests.length, 0);
});

test('a GitHub App shows a signed claim of who it is, and uses the token of its installation', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const expires = new Date(NOW + 3_600_000).toISOString();
  const { issuer, files, url, tls } = await startIssuer(t, () => [
    201,
    { token: 'ghs_abcdef', expires_at: expires },
  ]);
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { inject } = setUp(
    `{ for: api.example, ${tls}, githubApp: { appId: 12, installationId: 34, privateKey: { env: KEY }, api: "${url}" } }`,
    { env: { KEY: pem }, files },
  );
  assert.equal((await inject(REQUEST)).arrived.headers.authorization, 'Bearer ghs_abcdef');
  const [{ url: path, headers } = { url: '', headers: {} }] = issuer.requests;
  assert.equal(path, '/app/installations/34/access_tokens');
  const [head = '', claims = '', signature = ''] = (headers.authorization ?? '')
    .replace('Bearer ', '')
    .split('.');
  const key = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' }));
  assert.ok(
    verify(
      'RSA-SHA256',
      Buffer.from(`${head}.${claims}`),
      key,
      Buffer.from(signature, 'base64url'),
    ),
  );
  const { iss, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
  assert.deepEqual([iss, iat, exp], ['12', NOW / 1000 - 60, NOW / 1000 + 540]);
});
