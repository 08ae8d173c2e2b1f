import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Outcome } from '../core/conversation.ts';
import { DEFAULT_SETTINGS, type Decision, deny } from '../core/decision.ts';
import { Hostname } from '../core/hostname.ts';
import { Cidr, Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import { Refusal, UpstreamError } from '../core/refusal.ts';
import type { Step } from '../core/steps.ts';
import type { AuditEvent } from './event.ts';
import type { Recorded, RecordSettings } from './ledger.ts';
import { RecentExchanges } from './recent.ts';
import { type RecordedEnd, Recorder } from './recorder.ts';

const NOON = Date.parse('2026-11-23T12:00:00Z');

const ip = (text: string) => Ip.parse(text) as Ip;

const SETTINGS: RecordSettings = {
  policy: 'sha256:5e15',
  owned: [Cidr.parse('10.0.0.0/8') as Cidr],
  onFailure: 'deny',
};

const CONNECT: Recorded = {
  listener: 'egress',
  client: { ip: ip('10.0.0.5'), port: 41234 },
  peer: ip('10.0.0.5'),
  action: 'CONNECT',
  destination: { scheme: 'tunnel', host: Hostname.parse('api.github.com'), port: 443 },
  request: undefined,
};

const PRINCIPAL: Principal = { name: 'athena-connector', method: 'header' };

const ALLOW: Decision = {
  stage: 'address',
  effect: 'allow',
  reason: 'rule-allow',
  rule: 'athena-saas',
  mode: 'enforce',
  settings: { ...DEFAULT_SETTINGS, via: 'fixed-a' },
};

const DONE: Outcome = { status: 200, error: null, bytesUp: 517, bytesDown: 4096 };

/** A recorder over lines in memory. Its clocks stand still until a test sets them. */
function makeRecorder(settings: Partial<RecordSettings> = {}) {
  const lines: string[] = [];
  const ends: RecordedEnd[] = [];
  const steps: [Step, number][] = [];
  const state = { now: NOON, elapsed: 0, broken: false, suppressed: 0 };
  const recent = new RecentExchanges();
  const recorder = new Recorder(
    {
      gateway: 'tokyo-1',
      writer: {
        write: async (line) => {
          if (state.broken) throw new Refusal('audit-unavailable', 'it cannot be written');
          lines.push(line);
        },
        adopt() {},
        close: async () => {},
      },
      recent,
      meter: {
        passed: (step, milliseconds) => void steps.push([step, milliseconds]),
        exchangeEnded: (end) => void ends.push(end),
        refusalSuppressed: () => {
          state.suppressed++;
        },
      },
      now: () => state.now,
      writers: 1,
      elapsed: () => state.elapsed,
    },
    { ...SETTINGS, ...settings },
  );
  const events = () => lines.map((line) => JSON.parse(line) as AuditEvent);
  return { recorder, lines, events, ends, steps, state, recent };
}

test('an exchange leaves its decision and its outcome, each readable alone', async () => {
  const { recorder, events, state, ends } = makeRecorder();
  const record = recorder.begin(CONNECT);
  record.identified(PRINCIPAL);
  state.now += 5;
  await record.decision(ALLOW, ip('140.82.121.6'));
  state.now += 1000;
  state.elapsed += 12.345;
  const tls = { sni: 'api.github.com', alpn: ['h2', 'http/1.1'] };
  record.outcome({ ...DONE, tls });
  const facts = {
    id: record.id,
    gateway: 'tokyo-1',
    listener: 'egress',
    client: '10.0.0.5:41234',
    principal: 'athena-connector',
    identifiedBy: 'header',
    action: 'CONNECT',
    destination: 'api.github.com:443',
    address: '140.82.121.6',
    class: { client: 'internal', way: 'external', destination: 'external', external: true },
    decision: {
      stage: 'address',
      effect: 'allow',
      reason: 'rule-allow',
      rule: 'athena-saas',
      mode: 'enforce',
    },
    policy: 'sha256:5e15',
    exit: 'fixed-a',
  };
  assert.deepEqual(events(), [
    { type: 'decision', time: '2026-11-23T12:00:00.005Z', ...facts },
    {
      type: 'outcome',
      time: '2026-11-23T12:00:01.005Z',
      ...facts,
      tls,
      outcome: { status: 200, error: null, bytesUp: 517, bytesDown: 4096, durationMs: 12.3 },
    },
  ]);
  assert.deepEqual(
    ends.map(({ conversation, principal, decision }) => [conversation, principal, decision]),
    [[CONNECT, PRINCIPAL, ALLOW]],
  );
});

test('each step is told with the time since the one before it', () => {
  const { recorder, state, steps, ends } = makeRecorder();
  const record = recorder.begin(CONNECT);
  state.elapsed += 2;
  record.passed('decide');
  state.elapsed += 30;
  record.passed('resolve');
  record.outcome(DONE);
  assert.deepEqual(steps, [
    ['decide', 2],
    ['resolve', 30],
  ]);
  assert.deepEqual(ends[0]?.steps, [], 'kept for a span alone');
});

test('ids sort by the time of their exchanges and never repeat', () => {
  const { recorder, state } = makeRecorder();
  const ids = Array.from({ length: 1000 }, () => {
    state.now += 1;
    return recorder.begin(CONNECT).id;
  });
  assert.deepEqual(ids.toSorted(), ids);
  assert.equal(new Set(ids).size, 1000);
});

test('a balancer in between and the path of a readable request are on record', async () => {
  const { recorder, events } = makeRecorder();
  const record = recorder.begin({
    ...CONNECT,
    client: { ip: ip('2001:db8::5'), port: 41234 },
    peer: ip('10.0.9.3'),
    action: 'GET',
    request: { method: 'GET', path: '/repos/acme/x' },
  });
  await record.decision(deny('name', 'no-matching-rule'));
  const [event] = events();
  assert.partialDeepStrictEqual(event, {
    client: '[2001:db8::5]:41234',
    peer: '10.0.9.3',
    path: '/repos/acme/x',
    address: null,
    class: { client: 'external', way: null, destination: null, external: true },
  });
});

test('a request that names no destination is on record with what is wrong with it', async () => {
  const { recorder, events } = makeRecorder();
  const fault = new Refusal('destination-invalid', 'a numeric last label');
  const record = recorder.begin({ ...CONNECT, destination: fault });
  await record.decision(deny('accept', fault.reason, fault.message));
  assert.partialDeepStrictEqual(events()[0], {
    destination: null,
    principal: null,
    identifiedBy: null,
    decision: { stage: 'accept', reason: 'destination-invalid', detail: 'a numeric last label' },
  });
});

test('a later decision is an event of its own, and the one that the outcome shows', async () => {
  const { recorder, events } = makeRecorder();
  const record = recorder.begin(CONNECT);
  record.identified(PRINCIPAL);
  await record.decision(ALLOW, ip('140.82.121.6'));
  await record.decision(deny('hello', 'sni-mismatch'));
  record.outcome({ ...DONE, bytesUp: 0, bytesDown: 0 });
  assert.deepEqual(
    events().map((event) => 'decision' in event && [event.type, event.decision?.reason]),
    [
      ['decision', 'rule-allow'],
      ['decision', 'sni-mismatch'],
      ['outcome', 'sni-mismatch'],
    ],
  );
  assert.partialDeepStrictEqual(events()[2], { address: '140.82.121.6' });
});

test('the outcome shows the address that was dialled and what went wrong', async () => {
  const { recorder, events } = makeRecorder();
  const record = recorder.begin(CONNECT);
  await record.decision(ALLOW, ip('140.82.121.6'));
  record.dialled({ address: ip('140.82.121.5') });
  record.trouble(new UpstreamError('upstream-reset', 'the header ended early'));
  record.outcome({ ...DONE, status: 502, error: 'upstream-reset' });
  assert.partialDeepStrictEqual(events()[1], {
    address: '140.82.121.5',
    outcome: { status: 502, error: 'upstream-reset', detail: 'the header ended early' },
  });
});

test('the outcome is recorded exactly once, and closes the record', async () => {
  const { recorder, lines } = makeRecorder();
  const record = recorder.begin(CONNECT);
  await record.decision(ALLOW);
  record.outcome(DONE);
  assert.throws(() => record.outcome(DONE), /the outcome of exchange .* is on record already/);
  await assert.rejects(record.decision(ALLOW), /is on record already/);
  assert.equal(lines.length, 2);
});

test('an exchange that broke before any decision has its outcome all the same', () => {
  const { recorder, events } = makeRecorder();
  recorder.begin(CONNECT).outcome({ ...DONE, status: 500, error: 'gateway-fault' });
  assert.partialDeepStrictEqual(events(), [{ type: 'outcome', decision: null }]);
});

test('an exchange whose decision cannot be recorded is refused, and its outcome says so', async () => {
  const { recorder, events, state } = makeRecorder();
  const record = recorder.begin(CONNECT);
  record.identified(PRINCIPAL);
  state.broken = true;
  await assert.rejects(record.decision(ALLOW), { reason: 'audit-unavailable' });
  state.broken = false;
  record.outcome({ ...DONE, status: 503 });
  assert.partialDeepStrictEqual(events(), [
    { type: 'outcome', decision: { effect: 'deny', reason: 'audit-unavailable' } },
  ]);
});

test('onFailure allow lets the exchange go on', async () => {
  const { recorder, events, state } = makeRecorder({ onFailure: 'allow' });
  const record = recorder.begin(CONNECT);
  record.identified(PRINCIPAL);
  state.broken = true;
  await record.decision(ALLOW);
  state.broken = false;
  record.outcome(DONE);
  assert.partialDeepStrictEqual(events(), [{ type: 'outcome', decision: { effect: 'allow' } }]);
});

test('an exchange keeps the policy that it began with', async () => {
  const { recorder, events } = makeRecorder();
  const before = recorder.begin(CONNECT);
  recorder.adopt({ ...SETTINGS, policy: 'sha256:new' });
  await before.decision(ALLOW);
  await recorder.begin(CONNECT).decision(ALLOW);
  assert.partialDeepStrictEqual(events(), [{ policy: 'sha256:5e15' }, { policy: 'sha256:new' }]);
});

test('whoever listens hears of every event once it is on record', async () => {
  const { recorder, events } = makeRecorder();
  const heard: AuditEvent[] = [];
  const both = new Promise<void>((resolve) => {
    recorder.onEvent((event) => {
      heard.push(event);
      if (event.type === 'outcome') resolve();
    });
  });
  const record = recorder.begin(CONNECT);
  await record.decision(ALLOW);
  record.outcome(DONE);
  await both;
  assert.deepEqual(heard, events());
});

async function refuse(recorder: Recorder, client: string, principal?: Principal): Promise<string> {
  const record = recorder.begin({ ...CONNECT, client: { ip: ip(client), port: 1 } });
  record.identified(principal);
  await record.decision(deny('name', 'no-matching-rule'));
  record.outcome({ ...DONE, status: 403 });
  return record.id;
}

function mockMinutes(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  return () => t.mock.timers.tick(60_000);
}

test('a flood of refusals without a principal is counted beyond its burst', async (t) => {
  const passMinute = mockMinutes(t);
  const { recorder, events, state, recent, ends } = makeRecorder();
  for (let i = 0; i < 60; i++) await refuse(recorder, '10.0.0.5');
  assert.equal(events().length, 120);
  state.now += 1000;
  const suppressed = await refuse(recorder, '10.0.0.5');
  state.now += 1000;
  await refuse(recorder, '10.0.0.5');
  await refuse(recorder, '10.0.0.6');
  assert.equal(events().length, 122);
  passMinute();
  assert.deepEqual(events().at(-1), {
    type: 'suppressed',
    time: '2026-11-23T12:00:02.000Z',
    gateway: 'tokyo-1',
    client: '10.0.0.5',
    count: 2,
    from: '2026-11-23T12:00:01.000Z',
    to: '2026-11-23T12:00:02.000Z',
  });
  assert.equal(state.suppressed, 2);
  assert.equal(ends.length, 63, 'every exchange is counted');
  assert.equal(recent.find(suppressed).length, 2, 'why still explains it');
  await refuse(recorder, '10.0.0.5');
  assert.equal(events().length, 125);
  recorder.close();
});

test('refusals of a principal and exchanges that pass are always written', async (t) => {
  mockMinutes(t);
  const { recorder, lines } = makeRecorder();
  for (let i = 0; i < 100; i++) await refuse(recorder, '10.0.0.5', PRINCIPAL);
  for (let i = 0; i < 100; i++) await recorder.begin(CONNECT).decision(ALLOW);
  for (let i = 0; i < 100; i++) {
    await recorder.begin(CONNECT).decision({ ...deny('name', 'no-matching-rule'), mode: 'report' });
  }
  assert.equal(lines.length, 400);
});

test('a flood from everywhere is bounded too', async (t) => {
  mockMinutes(t);
  const { recorder, lines, events } = makeRecorder();
  for (let i = 0; i < 1000; i++) await refuse(recorder, `10.1.${i >> 8}.${i & 255}`);
  for (let i = 0; i < 1000; i++) await refuse(recorder, `10.2.${i >> 8}.${i & 255}`);
  assert.equal(lines.length, 2 * (1000 + 60));
  recorder.close();
  assert.partialDeepStrictEqual(events().at(-1), { client: null, count: 940 });
});

test('the addresses of one IPv6 network are one client', async (t) => {
  mockMinutes(t);
  const { recorder, lines, events } = makeRecorder();
  for (let i = 0; i < 100; i++) await refuse(recorder, `2001:db8:1:2::${i.toString(16)}`);
  assert.equal(lines.length, 120);
  recorder.close();
  assert.partialDeepStrictEqual(events().at(-1), { client: '2001:db8:1:2::/64', count: 40 });
});

test('whatever bytes a client sends, a line is one JSON object that moves no terminal', async () => {
  const hostile = fc.string({
    unit: fc.oneof(
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
      fc.constantFrom('"', '\\', '\n', '\r', '\0', '\x1b[2J', '\x7f', '\x9b', '\u2028', '\u2029'),
      fc.constantFrom('\u202e', '\ufeff', '\u{e0001}', '\ud800', '\udc00'),
    ),
  });
  await fc.assert(
    fc.asyncProperty(hostile, hostile, hostile, async (action, path, sni) => {
      const { recorder, lines, events } = makeRecorder();
      const request = { method: action, path };
      const record = recorder.begin({ ...CONNECT, action, request, listener: sni });
      await record.decision({ ...ALLOW, rule: path, detail: sni });
      record.outcome({ ...DONE, tls: { sni, alpn: [path] } });
      for (const line of lines) {
        assert.equal(line.indexOf('\n'), line.length - 1);
        assert.doesNotMatch(line.slice(0, -1), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      }
      const facts = { action, path, listener: sni };
      assert.partialDeepStrictEqual(events(), [
        { ...facts, decision: { rule: path } },
        { ...facts, tls: { sni, alpn: [path] } },
      ]);
    }),
  );
});
