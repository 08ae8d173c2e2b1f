import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allow, deny, NOW, nothingOwn, policyConfig, question } from '../../test/support/policy.ts';
import type { RuleConfig } from '../config/config.ts';
import { Ip } from '../core/ip.ts';
import { compile, decideAddresses, decideName, diff } from './policy.ts';
import { findRuleProblems } from './problems.ts';

const READING = allow({
  name: 'reading',
  to: ['api.example'],
  methods: ['GET'],
  paths: ['/repos/**'],
  intercept: true,
});

function decide(rules: readonly RuleConfig[], written: Parameters<typeof question>[0]) {
  return decideName(compile(policyConfig(rules)), question(written));
}

const tunnel = (rules: readonly RuleConfig[]) => decide(rules, { to: 'api.example:443' });
const inside = (rules: readonly RuleConfig[], request: string) =>
  decide(rules, { to: 'api.example:443', scheme: 'https', request });

test('a rule with methods and paths allows a tunnel that it has opened, and no other', () => {
  const { effect, settings } = tunnel([READING]);
  assert.deepEqual([effect, settings?.intercept], ['allow', true]);
  const closed = tunnel([{ ...READING, intercept: false }]);
  assert.equal(closed.reason, 'no-matching-rule');
  assert.match(closed.detail ?? '', /unless it says intercept: true/);
});

test('requests inside are decided on by method and path', () => {
  assert.equal(inside([READING], 'GET /repos/x').effect, 'allow');
  for (const request of ['POST /repos/x', 'GET /user', 'GET /repos/../user', 'GET /repos//x'])
    assert.equal(inside([READING], request).reason, 'no-matching-rule', request);
});

test('inside, the most specific rule for the host decides, whether it opens tunnels or not', () => {
  const lending = allow({ name: 'lending', to: ['api.example'], methods: ['POST'], with: 'c' });
  const rules = [READING, lending];
  assert.equal(tunnel(rules).rule, 'reading');
  const { rule, settings } = inside(rules, 'POST /x');
  assert.deepEqual([rule, settings?.credential], ['lending', 'c']);
});

test('a more specific rule that opens nothing leaves its tunnels closed', () => {
  const wide = allow({ name: 'wide', to: ['.example'], intercept: true });
  const exact = allow({ name: 'exact', to: ['api.example'] });
  assert.equal(tunnel([wide, exact]).settings?.intercept, false);
  assert.equal(tunnel([wide]).settings?.intercept, true);
});

test('two equal rules of which one opens the tunnel are a fault, and refused', () => {
  const rules = ['a', 'b'].map((name) =>
    allow({ name, to: ['api.example'], intercept: name === 'a' }),
  );
  assert.equal(tunnel(rules).reason, 'policy-ambiguous');
  const [fault] = findRuleProblems({ ...policyConfig(rules), expect: [] } as never, NOW);
  assert.match(fault?.message ?? '', /differ in intercept/);
});

test('what was asked in clear and became https is for rules with a credential alone', () => {
  const lending = allow({ name: 'lending', to: ['api.example'], with: 'c' });
  const opened = allow({ name: 'opened', to: ['.example'], intercept: true });
  const policy = compile(policyConfig([lending, opened]));
  const asked = question({ to: 'api.example:443', scheme: 'https', request: 'GET /' });
  const address = [Ip.parse('11.0.0.1') as Ip];
  assert.equal(decideAddresses(policy, asked, address, nothingOwn).decision.rule, 'lending');
  const other = question({ to: 'b.example:443', scheme: 'https', request: 'GET /' });
  assert.equal(decideAddresses(policy, other, address, nothingOwn).decision.rule, 'opened');
  const upgraded = { ...other, upgraded: true } as const;
  assert.equal(
    decideAddresses(policy, upgraded, address, nothingOwn).decision.reason,
    'no-matching-rule',
  );
});

test('a deny with methods is evaded by no tunnel that is opened', () => {
  const writes = deny({ name: 'writes', to: ['api.example'], methods: ['POST'] });
  const open = allow({ name: 'open', to: ['api.example'], intercept: true });
  const problems = (rule: RuleConfig) =>
    findRuleProblems(policyConfig([writes, rule]) as never, NOW);
  assert.deepEqual(problems(open), []);
  assert.match(problems({ ...open, intercept: false })[0]?.message ?? '', /which a tunnel hides/);
  assert.equal(inside([writes, open], 'POST /').reason, 'rule-deny');
  assert.equal(inside([writes, open], 'GET /').effect, 'allow');
});

test('a difference tells whose tunnels are opened from now on', () => {
  const open = allow({ name: 'open', to: ['api.example'], intercept: true });
  const differences = diff(
    policyConfig([{ ...open, intercept: false }], { principals: ['p'] }),
    policyConfig([open], { principals: ['p'] }),
    NOW,
  );
  const told = differences.map(({ change, destination, because }) => [
    change,
    destination,
    because,
  ]);
  assert.ok(
    told.some((row) => row.join() === 'changes,api.example:443,no exit, intercepted; rule open'),
    JSON.stringify(told),
  );
});
