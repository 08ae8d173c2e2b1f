import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  address,
  allow,
  deny,
  nothingOwn,
  parentExit,
  policyConfig,
  publishedSet,
  question,
} from '../../test/support/policy.ts';
import type { RuleConfig, SetConfig } from '../config/config.ts';
import { type Decision, passes } from '../core/decision.ts';
import { compile, decideAddress, decideName, type Policy } from './policy.ts';

function policyOf(rules: readonly RuleConfig[], sets: Record<string, SetConfig>): Policy {
  const exits = [parentExit('east', 'local'), parentExit('west', 'local')];
  const config = policyConfig(rules, { exits });
  return compile({ ...config, sets: new Map(Object.entries(sets)) });
}

/** What is decided of a name, and then of an address that it has; of an address alone. */
function decide(policy: Policy, to: string, at: string): Decision {
  const asked = question({ to });
  const named = decideName(policy, asked);
  return passes(named) ? decideAddress(policy, asked, address(at), nothingOwn) : named;
}

describe('a set that follows a list', () => {
  const rules = [
    allow({ name: 'literal', to: ['east'], via: 'east' }),
    allow({ name: 'narrow', to: ['a.example'], addresses: ['east'] }),
    deny({ name: 'bad', to: ['bad'] }),
  ];
  const sets = { east: ['8.8.0.0/16', '10.0.0.0/8', '169.254.169.254'], bad: ['8.8.9.0/24'] };
  const openPolicy = policyOf(rules, {
    east: publishedSet(sets.east),
    bad: publishedSet(sets.bad),
  });
  const closedPolicy = policyOf(rules, {
    east: publishedSet(sets.east, true),
    bad: publishedSet(sets.bad, true),
  });
  const rows: readonly [to: string, at: string, open: string, closed: string][] = [
    ['8.8.1.1', '8.8.1.1', 'rule-allow', 'list-outdated'],
    ['a.example', '8.8.1.1', 'rule-allow', 'list-outdated'],
    ['a.example', '9.9.9.9', 'address-forbidden', 'address-forbidden'],
    // What somebody else publishes opens nothing that is not public.
    ['10.0.0.1', '10.0.0.1', 'address-forbidden', 'list-outdated'],
    ['169.254.169.254', '169.254.169.254', 'address-forbidden', 'list-outdated'],
    ['a.example', '10.0.0.1', 'address-forbidden', 'address-forbidden'],
    // What a deny closes stays closed.
    ['8.8.9.1', '8.8.9.1', 'rule-deny', 'rule-deny'],
    ['a.example', '8.8.9.1', 'rule-deny', 'rule-deny'],
  ];
  for (const [to, at, open, closed] of rows) {
    it(`${to} at ${at}: ${open}, and ${closed} once it is closed`, () => {
      assert.equal(decide(openPolicy, to, at).reason, open);
      assert.equal(decide(closedPolicy, to, at).reason, closed);
    });
  }

  it('tells which set it is', () => {
    assert.match(decide(closedPolicy, '8.8.1.1', '8.8.1.1').detail ?? '', /addresses of east,/);
  });

  it('passes as before by what the same rule says besides', () => {
    const both = [allow({ to: ['east', '8.8.1.0/24'] })];
    const policy = policyOf(both, { east: publishedSet(sets.east, true) });
    assert.equal(decide(policy, '8.8.1.1', '8.8.1.1').reason, 'rule-allow');
    assert.equal(decide(policy, '8.8.2.1', '8.8.2.1').reason, 'list-outdated');
  });

  it('does not go another way for being closed', () => {
    const ways = [
      allow({ name: 'near', to: ['east'], via: 'east' }),
      allow({ name: 'far', to: ['wide'], via: 'west' }),
    ];
    const wide = publishedSet(['8.0.0.0/8']);
    const policy = policyOf(ways, { east: publishedSet(sets.east, true), wide });
    assert.equal(decide(policy, '8.8.1.1', '8.8.1.1').reason, 'list-outdated');
    assert.equal(decide(policy, '8.9.1.1', '8.9.1.1').rule, 'far');
  });

  it('lets pass in report mode what it would let pass with its list', () => {
    const config = policyConfig([allow({ to: ['east'] })], { enforcement: 'report' });
    const named = new Map([['east', publishedSet(sets.east, true)]]);
    const decision = decide(compile({ ...config, sets: named }), '8.8.1.1', '8.8.1.1');
    assert.deepEqual([decision.reason, decision.mode], ['list-outdated', 'report']);
  });
});

it('a closed set never lets anything pass that it would not let pass, nor in another way', () => {
  const NETWORKS = ['8.0.0.0/8', '8.8.0.0/16', '8.8.8.0/24', '8.8.8.8', '9.9.0.0/16', '10.0.0.0/8'];
  const network = fc.constantFrom(...NETWORKS);
  const listing = fc.uniqueArray(network, { maxLength: 4 });
  const set = fc.constantFrom('one', 'two', 'three');
  const to = fc.uniqueArray(fc.oneof(set, network, fc.constantFrom('*', '.example')), {
    minLength: 1,
    maxLength: 3,
  });
  const addresses = fc.option(fc.uniqueArray(fc.oneof(set, network), { minLength: 1 }), {
    nil: undefined,
  });
  const rule = fc.oneof(
    fc.record({ to, addresses, via: fc.constantFrom(undefined, 'east', 'west') }).map(
      ({ to, addresses, via }) =>
        (name: string) =>
          allow({ name, to, ...(addresses && { addresses }), ...(via && { via }) }),
    ),
    fc
      .record({ to, report: fc.boolean() })
      .map((written) => (name: string) => deny({ name, ...written })),
  );
  const world = fc.record({
    rules: fc.array(rule, { minLength: 1, maxLength: 5 }),
    sets: fc.record({ one: listing, two: listing, three: listing }),
    closed: fc.subarray(['one', 'two', 'three'], { minLength: 1 }),
  });
  const places = ['8.8.8.8', '8.8.1.1', '8.1.1.1', '9.9.9.9', '10.1.1.1', '7.7.7.7'];
  let [passing, refused] = [0, 0];
  fc.assert(
    fc.property(world, ({ rules: makers, sets, closed }) => {
      const rules = makers.map((make, i) => make(`r${i}`));
      const published = (closing: readonly string[]) =>
        Object.fromEntries(
          Object.entries(sets).map(([name, all]) => [
            name,
            publishedSet(all, closing.includes(name)),
          ]),
        );
      const kept = policyOf(rules, published([]));
      const shut = policyOf(rules, published(closed));
      for (const at of places) {
        for (const to of [at, 'a.example']) {
          const [before, after] = [decide(kept, to, at), decide(shut, to, at)];
          if (passes(after)) {
            passing++;
            assert.deepEqual(after, before);
          } else if (passes(before)) {
            refused++;
            assert.equal(after.reason, 'list-outdated');
          } else if (after.reason !== 'list-outdated') assert.deepEqual(after, before);
        }
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(passing > 50 && refused > 50, `${passing} passed, ${refused} were refused`);
});
