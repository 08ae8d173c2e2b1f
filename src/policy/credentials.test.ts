import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  address,
  allow,
  deny,
  nothingOwn,
  owning,
  policyConfig,
  question,
} from '../../test/support/policy.ts';
import type { RuleConfig } from '../config/config.ts';
import { passes } from '../core/decision.ts';
import { destinationText } from '../core/destination.ts';
import { diff } from './diff.ts';
import { compile, decideAddresses, decideName, goingOn } from './policy.ts';

const lent = allow({ name: 'lent', to: ['a.example'], with: 'c' });
const plain = allow({ name: 'plain', to: ['.example'] });

/** What becomes of a request: the decision that stands, and what is dialled. */
function pass(
  rules: readonly RuleConfig[],
  to: string,
  scheme: 'http' | 'tunnel' = 'http',
  own = nothingOwn,
) {
  const policy = compile(policyConfig(rules));
  const asked = question({ to, scheme, ...(scheme === 'http' && { request: 'GET /' }) });
  const named = decideName(policy, asked);
  const onward = goingOn(named, asked);
  const decision = passes(named)
    ? decideAddresses(policy, onward, [address('8.8.8.8')], own).decision
    : named;
  const { effect, reason, rule, settings } = decision;
  return {
    effect,
    reason,
    rule,
    credential: settings?.credential,
    to: destinationText(onward.destination),
    scheme: onward.destination.scheme,
  };
}

describe('a rule with a credential', () => {
  it('makes a plain request one to port 443, over TLS', () => {
    const { effect, credential, to, scheme } = pass([lent], 'a.example:80');
    assert.deepEqual([effect, credential, to, scheme], ['allow', 'c', 'a.example:443', 'https']);
  });
  it('keeps another port, where the rule has it', () => {
    const ports = allow({ to: ['a.example'], with: 'c', ports: [8443] });
    assert.equal(pass([ports], 'a.example:8443').to, 'a.example:8443');
    assert.equal(pass([ports], 'a.example:80').effect, 'deny');
    assert.equal(pass([lent], 'a.example:8443').effect, 'deny');
  });
  it('is one for port 443 when it names that alone', () => {
    const ports = allow({ to: ['a.example'], with: 'c', ports: [443] });
    assert.equal(pass([ports], 'a.example:80').to, 'a.example:443');
  });
  it('does not match a tunnel, in which nothing can be put', () => {
    assert.equal(pass([lent], 'a.example:443', 'tunnel').reason, 'no-matching-rule');
  });
  it('leaves other rules’ requests as they are', () => {
    const { credential, to, scheme } = pass([lent, plain], 'b.example:80');
    assert.deepEqual([credential, to, scheme], [undefined, 'b.example:80', 'http']);
  });
  it('wins over a less specific one without', () => {
    assert.equal(pass([plain, lent], 'a.example:80').credential, 'c');
  });
  it('ties with an equally specific one without', () => {
    const other = allow({ name: 'other', to: ['a.example'] });
    assert.equal(pass([lent, other], 'a.example:80').reason, 'policy-ambiguous');
  });
  it('is held to a deny of the port that is dialled, before anything is looked up', () => {
    const denied = deny({ to: ['a.example'], ports: [443] });
    const policy = compile(policyConfig([lent, denied]));
    const asked = question({ to: 'a.example:80', scheme: 'http', request: 'GET /' });
    const { stage, reason } = decideName(policy, asked);
    assert.deepEqual([stage, reason], ['name', 'rule-deny']);
  });
  it('gives no credential where only report mode lets it pass', () => {
    const { effect, reason, credential } = pass(
      [lent, deny({ to: ['a.example'], report: true })],
      'a.example:80',
    );
    assert.deepEqual([effect, reason, credential], ['deny', 'rule-deny', undefined]);
  });
  it('never falls back to a rule without one once addresses are known, nor the other way round', () => {
    const inside = allow({
      name: 'inside',
      to: ['a.example'],
      with: 'c',
      addresses: ['10.0.0.0/8'],
    });
    const { effect, reason, credential } = pass([inside, plain], 'a.example:80');
    assert.deepEqual([effect, reason, credential], ['deny', 'address-forbidden', undefined]);
    const plainInside = allow({ name: 'plain', to: ['a.example'], addresses: ['10.0.0.0/8'] });
    const wide = allow({ name: 'lent', to: ['.example'], with: 'c' });
    assert.equal(pass([plainInside, wide], 'a.example:80').credential, undefined);
    assert.equal(pass([plainInside, wide], 'a.example:80').effect, 'deny');
  });
  it('does not lead to a listener of the gateway itself on the port that is dialled', () => {
    const own = owning([], ['8.8.8.8:443']);
    assert.equal(pass([lent], 'a.example:80', 'http', own).reason, 'loop');
  });
  it('shows in what a new policy changes', () => {
    const differences = diff(
      policyConfig([allow({ name: 'r', to: ['a.example'], ports: [443] })]),
      policyConfig([allow({ name: 'r', to: ['a.example'], ports: [443], with: 'c' })]),
      0,
    );
    assert.ok(
      differences.some(({ because }) => because.includes('with c')),
      JSON.stringify(differences),
    );
  });
});
