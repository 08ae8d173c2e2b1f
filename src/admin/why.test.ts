import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { loadText } from '../../test/support/config.ts';
import type { DecisionEvent, OutcomeEvent, RecordedDecision } from '../audit/event.ts';
import { parseAuthority } from '../core/destination.ts';
import type { Principal } from '../core/principal.ts';
import { compile, decideName } from '../policy/policy.ts';
import { explainExchange } from './why.ts';

const CONFIG = `
gateway: { contact: network-team@example.com }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:3128" } }
principals:
  athena: { owner: data@example.com, identify: [{ header: { name: x-a, value: { env: A } } }] }
  orders: { identify: [{ header: { name: x-a, value: { env: B } } }] }
  scanner: { identify: [{ header: { name: x-a, value: { env: C } } }] }
rules:
  - { name: github, allow: [orders], to: [api.github.com] }
  - { name: tokyo, allow: [athena], to: [.ap-northeast-1.amazonaws.com] }
  - { name: bot, allow: [athena], to: [hooks.slack.com], methods: [POST], paths: [/services/**] }
  - { name: internal, allow: [athena], to: [billing.internal], owner: billing@example.com }
  - { name: no-paste, deny: ["*"], except: [scanner], to: [pastebin.com] }
  - { name: pastes, allow: [athena], to: [pastebin.com] }
`;
const ENV = { A: 'a', B: 'b', C: 'c' };
const { config, digest } = loadText(CONFIG, ENV);
const TODAY = {
  policy: compile(config),
  digest,
  contact: config.gateway.contact,
  now: Date.parse('2026-11-23T12:00:00Z'),
};

const FACTS: Omit<DecisionEvent, 'type' | 'decision' | 'destination'> = {
  id: '0190a7c2-0000-7000-8000-000000000000',
  time: '2026-11-23T12:00:00.000Z',
  gateway: 'tokyo-1',
  listener: 'egress',
  client: '10.0.0.5:41234',
  principal: 'athena',
  identifiedBy: 'header',
  action: 'CONNECT',
  address: null,
  class: { client: 'internal', way: null, destination: null, external: null },
  policy: digest,
  exit: null,
};

interface Told {
  readonly destination: string | null;
  readonly decision: Partial<RecordedDecision>;
  readonly error?: OutcomeEvent['outcome']['error'];
  readonly more?: Partial<DecisionEvent>;
}

function explain({ destination, decision, error = null, more = {} }: Told) {
  const whole: RecordedDecision = {
    stage: 'name',
    effect: 'deny',
    reason: 'no-matching-rule',
    rule: null,
    mode: 'enforce',
    ...decision,
  };
  const facts = { ...FACTS, destination, decision: whole, ...more };
  const outcome = { status: 403, error, bytesUp: 0, bytesDown: 0, durationMs: 1 };
  return explainExchange(
    [
      { ...facts, type: 'decision' },
      { ...facts, type: 'outcome', tls: null, outcome },
    ],
    TODAY,
  );
}

/** The policy with the new rule that a report proposes. */
function withLines(yaml: string | undefined) {
  const written = parse(CONFIG) as { rules: object[] };
  const { rules } = parse(yaml ?? '') as { rules: object[] };
  return compile(
    loadText(stringify({ ...written, rules: [...written.rules, ...rules] }), ENV).config,
  );
}

test('a host that no rule allows: the nearest rule is for others, and a new one would allow it', () => {
  const report = explain({ destination: 'api.github.com:443', decision: {} });
  assert.partialDeepStrictEqual(report, {
    summary: 'Refused: no-matching-rule, at the stage "name".',
    says: 'No rule allows this principal to go there.',
    nearest: { rule: 'github', at: 'sekisho.yaml:10', why: 'it is for orders' },
    contact: 'data@example.com',
    samePolicy: true,
    wouldAllow: {
      place: 'a new rule',
      yaml: 'rules:\n  - name: athena-to-api.github.com\n    allow: [athena]\n    to: [api.github.com]\n',
    },
  });
});

test('the lines that would allow it do, and nothing more than it', () => {
  const destinations = [
    'api.github.com:443',
    'api.github.com:8443',
    '10.0.5.7:5432',
    '[2001:db8::7]:443',
    'localhost:443',
  ];
  const principal: Principal = { name: 'athena', method: 'header' };
  for (const destination of destinations) {
    const policy = withLines(explain({ destination, decision: {} }).wouldAllow?.yaml);
    const { host, port } = parseAuthority(destination);
    const decide = (who: Principal, to: number) => {
      const asked = { scheme: 'tunnel', host, port: to } as const;
      return decideName(policy, {
        principal: who,
        destination: asked,
        request: undefined,
        now: TODAY.now,
      }).effect;
    };
    assert.equal(decide(principal, port as number), 'allow', destination);
    assert.equal(decide(principal, 9), 'deny', destination);
    assert.equal(decide({ ...principal, name: 'scanner' }, port as number), 'deny', destination);
  }
});

test('for a host that may be inside, the note says what else the rule may have to name', () => {
  const noteFor = (destination: string) =>
    explain({ destination, decision: {} }).wouldAllow?.note ?? '';
  const inside = [
    'localhost:443',
    'db:5432',
    'a.localhost:443',
    'b.internal:80',
    'nas.home.arpa:80',
  ];
  for (const destination of inside) {
    assert.match(noteFor(destination), /no public address.*addresses: \[/, destination);
  }
  for (const destination of ['api.github.com:443', 'x.github.io:443', '10.0.5.7:443']) {
    assert.equal(noteFor(destination), '', destination);
  }
});

test('a request that misses only by its path gets a rule for its path', () => {
  const report = explain({
    destination: 'hooks.slack.com:80',
    decision: {},
    more: { action: 'POST', path: '/other' },
  });
  assert.deepEqual(report.nearest, {
    rule: 'bot',
    at: 'sekisho.yaml:12',
    why: 'the path is not among /services/**',
  });
  const [rule] = parse(report.wouldAllow?.yaml ?? '').rules;
  assert.partialDeepStrictEqual(rule, { methods: ['POST'], paths: ['/other'] });
});

test('a tunnel that misses only because nobody can read it is to be intercepted, and trusted', () => {
  const { nearest, wouldAllow } = explain({ destination: 'hooks.slack.com:443', decision: {} });
  assert.equal(nearest?.rule, 'bot');
  assert.deepEqual(
    [wouldAllow?.place, wouldAllow?.yaml],
    ['in rule bot (sekisho.yaml:12)', 'intercept: true\n'],
  );
  assert.match(wouldAllow?.note ?? '', /sekisho ca install-help/);
});

test('what was read inside a tunnel gets a rule without ports', () => {
  const request = { action: 'GET', path: '/x' };
  const { wouldAllow } = explain({ destination: 'a.example:443', decision: {}, more: request });
  assert.doesNotMatch(wouldAllow?.yaml ?? '', /ports/);
});

test('a neighbouring host is the nearest when the principal has a rule there', () => {
  const { nearest } = explain({ destination: 's3.eu-west-1.amazonaws.com:443', decision: {} });
  assert.equal(nearest?.rule, 'tokyo');
  assert.equal(explain({ destination: 'example.net:443', decision: {} }).nearest, null);
});

test('a deny rule is told with the exception that would lift it', () => {
  const report = explain({
    destination: 'pastebin.com:443',
    decision: { reason: 'rule-deny', rule: 'no-paste' },
  });
  assert.equal(report.summary, 'Refused by rule no-paste: rule-deny, at the stage "name".');
  assert.deepEqual(report.wouldAllow, {
    place: 'in rule no-paste (sekisho.yaml:14)',
    yaml: 'except: [scanner, athena]\n',
  });
});

test('an address that is not public has to be named by the rule', () => {
  const report = explain({
    destination: 'billing.internal:443',
    decision: { stage: 'address', reason: 'address-forbidden', rule: 'internal' },
    more: { address: '10.0.5.7' },
  });
  assert.equal(report.contact, 'billing@example.com');
  assert.deepEqual(report.wouldAllow, {
    place: 'in rule internal (sekisho.yaml:13)',
    yaml: 'addresses: [10.0.5.7]\n',
  });
});

test('what no line of configuration can allow has none', () => {
  for (const reason of ['no-identity', 'sni-mismatch', 'host-mismatch', 'draining'] as const) {
    const report = explain({ destination: 'api.github.com:443', decision: { reason } });
    assert.equal(report.wouldAllow, null, reason);
  }
  const invalid = explain({
    destination: null,
    decision: { reason: 'destination-invalid', stage: 'accept', detail: 'no name' },
  });
  assert.equal(invalid.wouldAllow, null);
  assert.match(invalid.says, /\(no name\)$/);
});

test('trouble after an allow, and report mode, are told apart from refusals', () => {
  const allowed = { effect: 'allow', reason: 'rule-allow', rule: 'github' } as const;
  const failed = explain({
    destination: 'api.github.com:443',
    decision: allowed,
    error: 'connect-timeout',
  });
  assert.equal(failed.summary, 'Allowed by rule github; then it failed: connect-timeout.');
  assert.equal(failed.says, 'The destination does not accept the connection in time.');
  const reported = explain({ destination: 'example.net:443', decision: { mode: 'report' } });
  assert.equal(
    reported.summary,
    'Let pass in report mode; enforced, it is refused: no-matching-rule.',
  );
});

test('an exchange that is still going on, under another policy', () => {
  const decision: RecordedDecision = {
    stage: 'address',
    effect: 'allow',
    reason: 'rule-allow',
    rule: 'github',
    mode: 'enforce',
  };
  const facts = { ...FACTS, destination: 'api.github.com:443', decision, policy: 'sha256:old' };
  const report = explainExchange([{ ...facts, type: 'decision' }], TODAY);
  assert.partialDeepStrictEqual(report, {
    summary: 'Allowed by rule github; it is still going on.',
    outcome: null,
    samePolicy: false,
  });
});
