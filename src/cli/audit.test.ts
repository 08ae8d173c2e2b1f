import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { TUNNEL_OUTCOME } from '../../test/support/audit-events.ts';
import { type AdminParts, startAdmin } from '../admin/admin.ts';
import type { GatewayStatus } from '../admin/status.ts';
import { explainExchange } from '../admin/why.ts';
import type { OutcomeEvent, SuppressedEvent } from '../audit/event.ts';
import type { TailRequest } from '../audit/trail.ts';
import { Secret } from '../core/secret.ts';
import { compile } from '../policy/policy.ts';
import { type AdminClient, connectAdmin } from './admin-client.ts';
import { tailAudit } from './audit.ts';
import { printWhy } from './why.ts';

const TOKEN = new Secret('token', 'the-admin-token');

const ALLOWED: OutcomeEvent = TUNNEL_OUTCOME;

const REFUSED: OutcomeEvent = {
  ...ALLOWED,
  principal: null,
  identifiedBy: null,
  action: 'GET',
  path: '/\x1b]0;owned\x07\u202e',
  destination: 'example.com:80',
  decision: { stage: 'name', effect: 'deny', reason: 'no-identity', rule: null, mode: 'enforce' },
  outcome: { status: 407, error: null, bytesUp: 0, bytesDown: 0, durationMs: 0.2 },
};

const SUPPRESSED: SuppressedEvent = {
  type: 'suppressed',
  time: '2026-11-23T05:11:00.000Z',
  gateway: 'tokyo-1',
  client: '10.0.0.9',
  count: 940,
  from: '2026-11-23T05:10:03.000Z',
  to: '2026-11-23T05:10:59.000Z',
};

async function start(t: TestContext, given: Partial<AdminParts> = {}) {
  const asked: TailRequest[] = [];
  const parts: AdminParts = {
    token: () => TOKEN,
    readiness: () => [],
    metrics: { contentType: 'text/plain', text: async () => '' },
    trail: {
      async *tail(request) {
        asked.push(request);
        for (const event of [ALLOWED, REFUSED, SUPPRESSED]) yield JSON.stringify(event);
      },
    },
    why: async () => undefined,
    status: () => ({}) as GatewayStatus,
    log: { error() {} },
    ...given,
  };
  const running = await startAdmin({ host: '127.0.0.1', port: 0 }, parts);
  t.after(() => running.close());
  return { asked, running, admin: connectAdmin(running.bind, TOKEN) };
}

async function printed(
  admin: AdminClient,
  options: Parameters<typeof tailAudit>[1],
  isTTY = false,
) {
  const output = Object.assign(new PassThrough(), { isTTY });
  await tailAudit(admin, options, output);
  return text(output.end());
}

test('one aligned line for each exchange, and no control character reaches the terminal', async (t) => {
  const { admin, asked } = await start(t);
  const lines = (await printed(admin, { last: 5, follow: false })).split('\n');
  assert.deepEqual(lines, [
    '11-23 05:10:00.123 ✓ athena-connector     CONNECT api.github.com:443                   athena-saas                    200    517 B up   4.1 kB down     12 ms',
    '11-23 05:10:00.123 ✗ -                    GET     example.com:80/\\u001b]0;owned\\u0007\\u202e no-identity                    407      0 B up      0 B down      0 ms',
    '11-23 05:11:00.000 ✗ 940 more refusals of 10.0.0.9 since 05:10:03',
    '',
  ]);
  assert.partialDeepStrictEqual(asked, [
    { last: 5, follow: undefined, types: ['outcome', 'suppressed'] },
  ]);
});

test('with --json every event comes as it stands in the record', async (t) => {
  const { admin, asked } = await start(t);
  const lines = (await printed(admin, { last: 5, follow: false, json: true })).trim().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [ALLOWED, REFUSED, SUPPRESSED],
  );
  assert.equal(asked[0]?.types, undefined);
});

test('the tail ends with an error when the gateway goes', async (t) => {
  const begun = Promise.withResolvers<void>();
  const { admin, running } = await start(t, {
    trail: {
      async *tail({ follow }) {
        yield JSON.stringify(ALLOWED);
        begun.resolve();
        await new Promise((resolve) => follow?.addEventListener('abort', resolve));
      },
    },
  });
  const output = new PassThrough();
  const tail = tailAudit(admin, { last: 1, follow: true }, output);
  const ended = assert.rejects(tail, { code: 'admin-unreachable', message: /ended the tail/ });
  await begun.promise;
  await running.close();
  await ended;
});

test('a reader who has enough ends the tail quietly', async (t) => {
  const { admin } = await start(t);
  const output = new PassThrough({
    write: (_chunk, _encoding, done) =>
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  });
  await tailAudit(admin, { last: 1, follow: true }, output);
});

test('a wrong token, a missing gateway and a stranger on the port are told apart', async (t) => {
  const { running } = await start(t);
  await assert.rejects(connectAdmin(running.bind, new Secret('token', 'wrong')).get('/v1/status'), {
    code: 'admin-token-refused',
    message: /takes another token/,
  });
  const stranger = createServer((_, response) => response.writeHead(500).end('<html>'));
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  const { port } = stranger.address() as { port: number };
  const client = connectAdmin({ host: '0.0.0.0', port }, TOKEN);
  await assert.rejects(client.get('/'), { message: /answers 500: something that is no answer/ });
  await new Promise((resolve) => stranger.close(resolve));
  await assert.rejects(client.get('/'), {
    code: 'admin-unreachable',
    message: /^no gateway answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)/,
  });
});

test('why tells what happened, then what to do about it', async (t) => {
  const policy = compile({
    principals: [],
    groups: new Map(),
    sets: new Map(),
    rules: [],
    enforcement: 'enforce',
    exits: [],
  });
  const today = { policy, digest: 'sha256:5e15', contact: 'network@example.com', now: 0 };
  const { decision, ...refused } = { ...ALLOWED, decision: REFUSED.decision };
  assert.ok(decision);
  const event = { ...refused, decision: { ...decision, reason: 'no-matching-rule' as const } };
  const inside = { ...event, id: 'inside', destination: 'db.internal:443' };
  const { admin } = await start(t, {
    why: async (id) => {
      const told = [event, inside].find((one) => one.id === id);
      return told && explainExchange([told], today);
    },
  });
  const print = async (id: string, json: boolean) => {
    const output = new PassThrough();
    await printWhy(admin, id, json, output);
    return text(output.end());
  };
  assert.equal(
    await print(ALLOWED.id, false),
    `Refused: no-matching-rule, at the stage "name".
No rule allows this principal to go there.

exchange      ${ALLOWED.id}
time          2026-11-23T05:10:00.123Z
principal     athena-connector (by header)
client        10.0.0.5:41234, on listener egress of tokyo-1
asked for     CONNECT api.github.com:443
address       140.82.121.6
contact       network@example.com

This would allow it, a new rule:

  rules:
    - name: athena-connector-to-api.github.com
      allow: [athena-connector]
      to: [api.github.com]
`,
  );
  assert.equal(JSON.parse(await print(ALLOWED.id, true)).id, ALLOWED.id);
  assert.match(
    await print(inside.id, false),
    /^ {6}to: \[db\.internal\]\n\nIf the host has no public address, .*\n$/m,
  );
  await assert.rejects(print('unknown', false), {
    code: 'not-found',
    message: /holds no exchange/,
  });
});
