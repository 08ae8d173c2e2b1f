import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { address, allow, deny, NOW, policyConfig, question } from '../../test/support/policy.ts';
import { explain } from './explain.ts';
import { compile } from './policy.ts';

const config = policyConfig(
  [
    allow({ name: 'exact', to: ['a.example'] }),
    allow({ name: 'suffix', to: ['.example'] }),
    allow({ name: 'set', to: ['hosts'] }),
    allow({ name: 'for-q', allow: ['q'], to: ['a.example'] }),
    allow({ name: 'for-b', to: ['b.example'] }),
    allow({ name: 'for-c', allow: ['q'], to: ['c.example'] }),
    allow({ name: 'port', to: ['a.example'], ports: [8443, [9000, 9010]] }),
    allow({ name: 'paths', to: ['a.example'], paths: ['/x/**'] }),
    allow({ name: 'old', to: ['a.example'], expiresMs: NOW - 1 }),
    deny({ name: 'excepted', except: ['p'] }),
    deny({ name: 'network', to: ['8.8.8.0/24'] }),
  ],
  { sets: { hosts: ['a.example'] } },
);

function rulesOf(asked: Parameters<typeof question>[0], ip?: string) {
  const ips = ip === undefined ? [] : [address(ip)];
  const explanation = explain(compile(config), question(asked), ips);
  const lines = explanation.rules.map(({ rule, matches, why }) => [rule, `${matches}: ${why}`]);
  return { ...explanation, why: Object.fromEntries(lines) as Record<'exact' | 'network', string> };
}

describe('an explanation', () => {
  it('gives the decision and why each rule did or did not match', () => {
    const { decision, why } = rulesOf({ to: 'a.example:443' });
    assert.equal(decision.rule, 'exact');
    const first = 'and exact wins: it is more specific';
    assert.deepEqual(why, {
      exact: 'true: matches by a.example',
      suffix: `true: matches by .example, ${first}`,
      set: `true: matches by hosts, ${first}`,
      'for-q': 'false: it is for q',
      'for-b': 'false: it is for b.example',
      'for-c': 'false: it is for q',
      port: 'false: port 443 is not among 8443, 9000-9010',
      paths:
        'false: it speaks of methods or paths or adds a credential, and there is no request that can be read',
      old: 'false: it expired on 2027-01-14',
      excepted: 'false: it excepts this principal',
      network: 'false: it is for 8.8.8.0/24',
    });
  });

  it('tells which rules speak of the caller or the destination', () => {
    const { rules } = rulesOf({ to: 'a.example:443' });
    const silent = rules.filter(({ mentions }) => !mentions).map(({ rule }) => rule);
    assert.deepEqual(silent, ['for-c']);
  });

  it('judges the addresses that it is given', () => {
    const { decision, why } = rulesOf({ to: 'a.example:443' }, '8.8.8.8');
    assert.equal(decision.stage, 'address');
    assert.equal(decision.rule, 'network');
    assert.equal(why.network, 'true: matches by 8.8.8.0/24');
    assert.equal(why.exact, 'true: matches by a.example, and network denies');
  });

  it('judges a literal as its own address', () => {
    const literal = compile(policyConfig([allow({ to: ['0.0.0.0/0'] })]));
    const { decision, rules } = explain(literal, question({ to: '10.0.0.1' }));
    assert.equal(decision.reason, 'address-forbidden');
    assert.equal(rules[0]?.why, 'matches by 0.0.0.0/0, and does not permit the address');
  });

  it('stops at a name that is denied', () => {
    assert.equal(rulesOf({ to: 'other.test:443' }, '8.8.8.8').decision.stage, 'name');
  });
});
