import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { OutcomeEvent } from '../../src/audit/event.ts';
import { FORMATS, type FormatName } from '../../src/wire/lambda-events/formats.ts';
import { accessDenied, internalError, throttled } from '../support/aws/aws-error.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import { eventOf, HOST, startSigning } from '../support/signing-function.ts';

const toldOf = (outcomes: readonly OutcomeEvent[]) =>
  outcomes.map(({ outcome }) => [outcome.status, outcome.error]);

for (const name of Object.keys(FORMATS) as FormatName[]) {
  test(`an event of ${name} gets its token on the way, and an answer in its own form`, async (t) => {
    const { ask, authority, upstream, outcomes } = await startSigning(t);
    const body = Buffer.from([0, 1, 0xff]);
    const answer = await ask(
      {
        method: 'POST',
        path: '/user%20s/x',
        query: 'b=2&a=%2F',
        headers: [
          ['Host', authority],
          ['Authorization', 'mine'],
          ['X-Forwarded-For', '198.51.100.1'],
          ['X-Kept', 'kept'],
        ],
        body,
      },
      name,
    );
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'ok']);
    const [request = ''] = upstream.requests;
    assert.match(request, /^POST \/user%20s\/x\?b=2&a=%2F HTTP\/1\.1\r\n/);
    assert.match(request, new RegExp(`^authorization: token ${TOKEN}\\r$`, 'im'));
    assert.match(request, /^x-kept: kept\r$/im);
    assert.doesNotMatch(request, /mine|198\.51\.100\.1|203\.0\.113\.7/);
    assert.ok(request.endsWith(body.toString('latin1')));
    const [outcome] = outcomes();
    assert.equal(outcome?.gateway, 'sign');
    assert.equal(outcome?.destination, authority);
    assert.equal(outcome?.principal, 'invoker');
    assert.deepEqual(outcome?.credential, { name: 'c', version: '1' });
  });
}

test('what comes back is masked: in headers, redirects, and a body that is coded', async (t) => {
  const echo = gzipSync(`{"you sent":"${TOKEN}"}`);
  const { ask } = await startSigning(t, {
    answer: (_request, socket) => {
      const head = [
        'HTTP/1.1 302 Found',
        `Location: https://elsewhere.example/?t=${TOKEN}`,
        'Set-Cookie: a=1',
        'Set-Cookie: b=2',
        'Content-Encoding: gzip',
        `Content-Length: ${echo.length}`,
      ];
      socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), echo]));
    },
  });
  const answer = await ask({});
  assert.equal(answer.status, 302);
  const text = `${JSON.stringify(answer.headers)}${answer.body}`;
  assert.match(text, /elsewhere\.example\/\?t=\*+/);
  assert.match(text, /you sent":"\*+/);
  assert.ok(!text.includes(TOKEN));
  assert.equal(answer.headers.filter(([name]) => name === 'Set-Cookie').length, 2);
});

test('nothing is stored for the host: 407, and the destination learns nothing', async (t) => {
  const { ask, upstream, outcomes } = await startSigning(t, {
    credential: 'convention: parameter-store, prefix: /production',
  });
  const answer = await ask({});
  assert.equal(answer.status, 407);
  const header = (name: string) => answer.headers.find(([key]) => key === name)?.[1];
  assert.equal(header('Sekisho-Reason'), 'credential-missing');
  assert.equal(header('Content-Type'), 'text/plain; charset=utf-8');
  assert.match(header('Proxy-Authenticate') ?? '', /^Sekisho-Credential/);
  assert.equal(upstream.requests.length, 0);
  assert.equal(outcomes()[0]?.decision?.reason, 'credential-missing');
});

for (const [label, error, reason] of [
  [
    'denies',
    accessDenied('arn:aws:iam::1:role/sign', 'ssm:GetParameter', 'x'),
    'credential-unavailable',
  ],
  ['throttles', throttled(), 'credential-unavailable'],
  ['breaks', internalError(), 'credential-unavailable'],
] as const) {
  test(`Parameter Store ${label}: 502 with that reason, kept never`, async (t) => {
    const { ask, aws, upstream } = await startSigning(t);
    aws.disturbances.fail('GetParameter', error);
    const answer = await ask({});
    assert.equal(answer.status, 502);
    assert.deepEqual(answer.headers.find(([key]) => key === 'Sekisho-Reason')?.[1], reason);
    assert.doesNotMatch(answer.body.toString(), /arn:aws|Rate exceeded/);
    assert.equal(upstream.requests.length, 0);
    aws.disturbances.heal();
    assert.equal((await ask({})).status, 200);
  });
}

test('a path, a method or a host that no rule names is refused', async (t) => {
  const { ask, upstream, authority } = await startSigning(t, {
    rule: ', methods: [GET], paths: [/repos/**]',
  });
  for (const request of [
    { path: '/user' },
    { method: 'DELETE', path: '/repos/x' },
    { path: '/repos/..%2fuser' },
    { path: '/repos/../user' },
    { path: '/repos/x', headers: [['Host', 'other.localhost']] as const },
    { path: '/repos/x', headers: [['Host', HOST]] as const },
  ]) {
    const { status, headers } = await ask({ ...request });
    assert.equal(status, 403, JSON.stringify([request, headers]));
  }
  assert.equal(upstream.requests.length, 0);
  assert.equal((await ask({ path: '/repos/x', headers: [['Host', authority]] })).status, 200);
});

for (const [label, headers, path, method] of [
  ['a host that holds a path', [['Host', 'evil.example/../api.localhost']], '/', 'GET'],
  ['an empty host', [['Host', '']], '/', 'GET'],
  ['no host', [], '/', 'GET'],
  [
    'two hosts',
    [
      ['Host', 'a.example'],
      ['host', 'b.example'],
    ],
    '/',
    'GET',
  ],
  ['another host in its path', [['Host', 'api.localhost']], 'http://evil.example/', 'GET'],
  [
    'a line break in a value',
    [
      ['Host', 'api.localhost'],
      ['X-A', 'b\r\nAuthorization: c'],
    ],
    '/',
    'GET',
  ],
  [
    'a line break in a name',
    [
      ['Host', 'api.localhost'],
      ['X-A: b\r\nX-B', 'c'],
    ],
    '/',
    'GET',
  ],
  ['a request in its method', [['Host', 'api.localhost']], '/', 'GET / HTTP/1.1\r\nX: y'],
] as const) {
  test(`an event with ${label} is refused and on record`, async (t) => {
    const { ask, upstream, outcomes, aws } = await startSigning(t);
    const answer = await ask({ headers, path, method });
    assert.equal(answer.status, 400);
    assert.equal(upstream.requests.length, 0);
    assert.equal(aws.calls.length, 0);
    assert.equal(outcomes().length, 1);
  });
}

test('an event that carries no request is an error of the function', async (t) => {
  const { handle } = await startSigning(t);
  await assert.rejects(handle({ Records: [] }), { code: 'event-invalid' });
});

test('a response that a function may not answer is told as such', async (t) => {
  const { ask, outcomes } = await startSigning(t, {
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n');
      socket.write(Buffer.alloc(5_000_000, 0xff));
    },
  });
  const answer = await ask({});
  assert.equal(answer.status, 502);
  assert.match(answer.body.toString(), /response-too-large/);
  assert.deepEqual(toldOf(outcomes()), [[502, 'response-too-large']]);
});

test('a response that is too long before it is whole is given up, and the record says who did', async (t) => {
  const { ask, outcomes } = await startSigning(t, {
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.write(Buffer.alloc(7_000_000, 'x'));
    },
  });
  assert.match((await ask({})).body.toString(), /response-too-large/);
  assert.deepEqual(toldOf(outcomes()), [[502, 'response-too-large']]);
});

test('a response that Lambda just takes is given', async (t) => {
  const { ask, outcomes } = await startSigning(t, {
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n');
      socket.write(Buffer.alloc(6_000_000, 'x'));
    },
  });
  assert.equal((await ask({})).body.length, 6_000_000);
  assert.deepEqual(toldOf(outcomes()), [[200, null]]);
});

test('a destination that takes too long is given up before Lambda ends the function, on record', async (t) => {
  const { handle, authority, outcomes } = await startSigning(t, { answer: () => {} });
  const event = eventOf('alb', { headers: [['Host', authority]] });
  const response = (await handle(event, 900)) as { statusCode: number };
  assert.equal(response.statusCode, 504);
  assert.deepEqual(toldOf(outcomes()), [[504, 'idle-timeout']]);
});

test('a source of secrets that does not answer in the time of the function leaves the function time to say so', async (t) => {
  const { handle, aws, authority, upstream, printed } = await startSigning(t);
  aws.disturbances.hold('GetParameter');
  const event = eventOf('alb', { headers: [['Host', authority]] });
  const response = (await handle(event, 900)) as { statusCode: number };
  assert.equal(response.statusCode, 504);
  assert.deepEqual(upstream.requests, []);
  assert.match(printed.join(''), /the outcome of an exchange is missing/);
});

test('a destination that breaks off is a 502', async (t) => {
  const { ask, outcomes } = await startSigning(t, {
    answer: (_request, socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf');
    },
  });
  assert.equal((await ask({})).status, 502);
  assert.equal(outcomes()[0]?.outcome.error, 'upstream-reset');
});

test('a secret that the destination refuses is read again', async (t) => {
  const { ask, upstream } = await startSigning(t, {
    answer: (_request, socket) =>
      socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'),
  });
  assert.equal((await ask({})).status, 401);
  assert.equal(upstream.requests.length, 1);
});

test('the token is in nothing that the function prints', async (t) => {
  const { ask, printed } = await startSigning(t);
  await ask({});
  assert.ok(printed.length >= 2);
  const text = printed.join('');
  for (const form of [
    TOKEN,
    Buffer.from(TOKEN).toString('base64'),
    Buffer.from(TOKEN).toString('hex'),
  ])
    assert.ok(!text.includes(form));
});

test('a policy in Parameter Store decides', async (t) => {
  const { ask, parameters, folder } = await startSigning(t, {
    env: { SEKISHO_POLICY_PARAMETER: '/sekisho/policy' },
  });
  const policy = readFileSync(join(folder, 'sekisho.yaml'), 'utf8');
  parameters.put('/sekisho/policy', policy.replace('with: c', 'with: c, methods: [GET]'), 'String');
  assert.equal((await ask({})).status, 200);
  assert.equal((await ask({ method: 'POST' })).status, 403);
});

for (const [label, text] of [
  ['is not there', undefined],
  ['has a fault', 'version: 2'],
] as const) {
  test(`a policy in Parameter Store that ${label} lets nothing pass`, async (t) => {
    const { ask, parameters, upstream, printed } = await startSigning(t, {
      env: { SEKISHO_POLICY_PARAMETER: '/sekisho/policy' },
    });
    if (text !== undefined) parameters.put('/sekisho/policy', text, 'String');
    assert.equal((await ask({})).status, 503);
    assert.equal(upstream.requests.length, 0);
    assert.match(printed.join(''), /there is no policy to decide by/);
  });
}

/** A function by a policy in Parameter Store that permits GET, and what puts another there. */
async function storedPolicyScene(t: TestContext) {
  const name = '/sekisho/policy';
  const scene = await startSigning(t, { env: { SEKISHO_POLICY_PARAMETER: name } });
  const policy = readFileSync(join(scene.folder, 'sekisho.yaml'), 'utf8');
  const store = (methods: string) =>
    scene.parameters.put(
      name,
      policy.replace('with: c', `with: c, methods: [${methods}]`),
      'String',
    );
  store('GET');
  const post = async () => (await scene.ask({ method: 'POST' })).status;
  assert.equal(await post(), 403);
  return { ...scene, name, store, post };
}

const TTL_MS = 300_000;

test('a new version of a policy in Parameter Store is in force once its time is over, and not before', async (t) => {
  const { store, post, pass, outcomes, aws } = await storedPolicyScene(t);
  store('GET, POST');
  pass(TTL_MS / 2);
  assert.equal(await post(), 403);
  assert.equal(aws.count('GetParameter'), 1);
  pass(TTL_MS / 2);
  assert.equal(await post(), 200);
  const digests = outcomes().map(({ policy }) => policy);
  assert.equal(digests[0], digests[1]);
  assert.notEqual(digests[1], digests[2]);
});

test('a new version with a fault is told once, and the one before holds on until one without', async (t) => {
  const { store, post, pass, printed, parameters, name, ask } = await storedPolicyScene(t);
  parameters.put(name, 'version: 2', 'String');
  pass(TTL_MS);
  for (let i = 0; i < 3; i++) {
    assert.equal(await post(), 403);
    assert.equal((await ask({})).status, 200);
  }
  const told = printed.filter((line) => line.includes('the new policy is refused'));
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /version/);
  store('GET, POST');
  pass(TTL_MS);
  assert.equal(await post(), 200);
});

test('while Parameter Store is out of reach the policy holds on for as long again, and then nothing passes', async (t) => {
  const { post, pass, aws, ask, upstream } = await storedPolicyScene(t);
  assert.equal((await ask({})).status, 200);
  aws.disturbances.fail('GetParameter', internalError());
  pass(TTL_MS);
  assert.equal((await ask({})).status, 200);
  assert.equal(await post(), 403);
  pass(TTL_MS);
  const closed = await ask({});
  assert.equal(closed.status, 503);
  assert.match(closed.body.toString(), /policy-unavailable/);
  assert.doesNotMatch(closed.body.toString(), /ssm|parameter|internal/i);
  assert.equal(upstream.requests.length, 2);
  aws.disturbances.heal();
  assert.equal((await ask({})).status, 200);
});

for (const [label, end] of [
  ['is deleted', ({ parameters, name }) => parameters.delete(name)],
  [
    'may no longer be read',
    ({ aws }) =>
      aws.disturbances.fail('GetParameter', accessDenied('arn', 'ssm:GetParameter', 'x')),
  ],
] as readonly [string, (scene: Awaited<ReturnType<typeof storedPolicyScene>>) => void][]) {
  test(`a policy that ${label} lets nothing pass once its time is over`, async (t) => {
    const scene = await storedPolicyScene(t);
    end(scene);
    assert.equal(await scene.post(), 403);
    scene.pass(TTL_MS);
    assert.equal(await scene.post(), 503);
    assert.equal((await scene.ask({})).status, 503);
  });
}

test('a prefix makes every host one that something may be stored for, and no private address one that is reached', async (t) => {
  const { ask, aws, authority } = await startSigning(t, {
    env: { SSM_SIGN_PROXY_PREFIX: 'production/' },
  });
  assert.equal((await ask({ headers: [['Host', HOST]] })).status, 403);
  assert.equal((await ask({ headers: [['Host', authority]] })).status, 403);
  assert.equal(aws.calls.length, 0);
});

for (const [label, more, message] of [
  ['a rule without a credential', 'sets: {}', /names no credential/],
  ['report mode', 'enforcement: report', /enforces/],
  [
    'a listener',
    'listeners: { l: { type: forward-proxy, bind: "127.0.0.1:0" } }',
    /listens nowhere/,
  ],
] as const) {
  test(`a policy with ${label} is none for a function`, async (t) => {
    const rule =
      label === 'a rule without a credential'
        ? ' }\n  - { name: b, allow: [invoker], to: [b.example]'
        : '';
    await assert.rejects(startSigning(t, { more, rule }), { code: 'config-invalid', message });
  });
}

test('a function without a policy does not start', async (t) => {
  const { folder } = await startSigning(t);
  writeFileSync(join(folder, 'sekisho.yaml'), 'version: 2\n');
  const { SigningFunction } = await import('../../src/lambda/sign/signing-function.ts');
  const { createLogger } = await import('../../src/log.ts');
  const around = {
    env: {},
    folder,
    log: createLogger(process.stderr),
    write: async () => {},
    now: Date.now,
  };
  assert.throws(() => new SigningFunction(around), { code: 'config-invalid' });
  assert.throws(() => new SigningFunction({ ...around, folder: '/nowhere' }), {
    code: 'config-invalid',
  });
});
