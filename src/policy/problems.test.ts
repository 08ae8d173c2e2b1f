import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allow, deny, NOW, policyConfig } from '../../test/support/policy.ts';
import type { RuleConfig } from '../config/config.ts';
import { findRuleProblems } from './problems.ts';

type Written = Parameters<typeof policyConfig>[1];
type Row = readonly [
  what: string,
  rules: readonly RuleConfig[],
  expected: string | undefined,
  written?: Written,
];

function told(rules: readonly RuleConfig[], written?: Written): string | undefined {
  const problems = findRuleProblems(policyConfig(rules, written), NOW);
  assert.ok(problems.length <= 1, JSON.stringify(problems.map(({ message }) => message)));
  const [problem] = problems;
  return problem && `${problem.severity}: ${problem.message}`;
}

function table(title: string, rows: readonly Row[]): void {
  describe(title, () => {
    for (const [what, rules, expected, written] of rows) {
      it(what, () => assert.equal(told(rules, written), expected));
      it(`${what}, in another order`, () =>
        assert.equal(told(rules.toReversed(), written), expected));
    }
  });
}

const never = (why: string) => `warning: the rule "a" can never match: ${why}`;
const a = (more: Parameters<typeof allow>[0] = {}) =>
  allow({ name: 'a', to: ['a.example'], ...more });
const b = (more: Parameters<typeof allow>[0] = {}) =>
  allow({ name: 'b', to: ['a.example'], ...more });
const d = (more: Parameters<typeof deny>[0] = {}) =>
  deny({ name: 'd', to: ['a.example'], ...more });

table('a rule that can never match', [
  ['a plain one can', [a()], undefined],
  ['for nobody', [a({ allow: [] })], never('it is for nobody')],
  [
    'for a group without members',
    [a({ allow: ['none'] })],
    never('it is for nobody'),
    { groups: { none: [] } },
  ],
  [
    'for a group of a template',
    [a({ allow: ['jobs'] })],
    undefined,
    { principals: ['job-{name}'], groups: { jobs: ['job-{name}'] } },
  ],
  ['for anonymous', [a({ allow: ['anonymous'] })], undefined],
  [
    'for whom it excepts',
    [deny({ name: 'a', deny: ['p'], except: ['p'] })],
    never('it is for nobody'),
  ],
  ['to nowhere', [a({ to: [] })], never('its destinations are empty')],
  [
    'to an empty set',
    [a({ to: ['none'] })],
    never('its destinations are empty'),
    { sets: { none: [] } },
  ],
  ['no ports', [a({ ports: [] })], never('its ports are empty')],
  ['no methods', [a({ methods: [] })], never('its methods are empty')],
  ['no addresses', [a({ addresses: [] })], never('its addresses are empty')],
  [
    'a network of this host',
    [a({ addresses: ['127.0.0.0/8'] })],
    never('its addresses must be named one by one'),
  ],
  [
    'a destination of this host',
    [a({ to: ['127.0.0.0/8'] })],
    never('its destinations must be named one by one'),
  ],
  ['one address of this host', [a({ to: ['127.0.0.1'] })], undefined],
  ['an expired one is told elsewhere', [a({ ports: [], expiresMs: NOW - 1 })], undefined],
]);

const hidden = (name: string, by: string, how = 'decides on') =>
  `warning: the rule "${name}" changes nothing: "${by}" ${how} all that it speaks of`;

table('a rule that another one hides', [
  ['the same twice', [a(), b()], hidden('b', 'a')],
  ['for fewer callers', [a(), b({ allow: ['p'] })], hidden('b', 'a')],
  ['for other callers', [a({ allow: ['q'] }), b({ allow: ['p'] })], undefined],
  [
    'for whom a group holds',
    [a({ allow: ['team'] }), b({ allow: ['p'] })],
    hidden('b', 'a'),
    { groups: { team: ['p'] } },
  ],
  ['for anonymous, whom * does not mean', [a(), b({ allow: ['anonymous'] })], undefined],
  ['more specific, so it decides', [a(), b({ to: ['.example'] })], undefined],
  [
    'a host of a set that is named directly',
    [a({ via: 'x' }), b({ to: ['hosts'] })],
    hidden('b', 'a'),
    { sets: { hosts: ['a.example'] } },
  ],
  [
    'some hosts of a set',
    [a({ via: 'x' }), b({ to: ['hosts'] })],
    undefined,
    { sets: { hosts: ['a.example', 'c.example'] } },
  ],
  [
    'a set within a suffix',
    [a({ to: ['.example'] }), b({ to: ['hosts'] })],
    hidden('b', 'a'),
    { sets: { hosts: ['a.example', '.b.example'] } },
  ],
  ['fewer ports', [a({ ports: [[1, 100]] }), b({ ports: [80] })], hidden('b', 'a')],
  ['other ports', [a({ ports: [81] }), b({ ports: [80] })], undefined],
  ['until later', [a({ expiresMs: NOW }), b()], undefined],
  [
    'other addresses',
    [a({ to: ['.example'] }), b({ to: ['hosts'], addresses: ['10.0.0.0/8'] })],
    undefined,
    { sets: { hosts: ['a.example'] } },
  ],
  ['methods that decide', [a(), b({ methods: ['GET'] })], undefined],
  ['an allow that is denied', [a(), d()], hidden('a', 'd', 'denies')],
  ['an allow that is denied around', [a(), d({ to: ['.example'] })], hidden('a', 'd', 'denies')],
  [
    'an allow that is denied everywhere',
    [a({ to: ['8.8.8.8'] }), d({ to: ['*'] })],
    hidden('a', 'd', 'denies'),
  ],
  ['an allow that is denied in part', [a({ to: ['.example'] }), d()], undefined],
  ['an allow that a deny excepts', [a({ allow: ['p'] }), d({ except: ['p'] })], undefined],
  ['an allow that a deny excepts for one', [a(), d({ except: ['p'] })], undefined],
  ['an allow that a deny only reports', [a(), d({ report: true })], undefined],
  [
    'a deny within another',
    [d(), deny({ name: 'e', to: ['.example'] })],
    hidden('d', 'e', 'denies'),
  ],
  [
    'the same deny twice',
    [d(), deny({ name: 'e', to: ['a.example'] })],
    hidden('e', 'd', 'denies'),
  ],
  [
    'a deny that reports what another denies',
    [d({ report: true }), deny({ name: 'e', to: ['a.example'] })],
    hidden('d', 'e', 'denies'),
  ],
  [
    'a deny of what another reports',
    [d(), deny({ name: 'e', report: true, to: ['a.example', 'b.example'] })],
    undefined,
  ],
]);

const tied = (keys: string) =>
  `fault: the rules "a" and "b" are equally specific and differ in ${keys}`;

table('a tie', [
  ['exits', [a({ via: 'x' }), b()], tied('via')],
  [
    'all settings',
    [a({ via: 'x', tls: 'off' }), b({ addresses: ['10.0.0.0/8'] })],
    tied('via, tls, addresses'),
  ],
  ['different callers', [a({ allow: ['p'], via: 'x' }), b({ allow: ['q'] })], undefined],
  [
    'callers that two groups share',
    [a({ allow: ['one'], via: 'x' }), b({ allow: ['two'] })],
    tied('via'),
    { groups: { one: ['p'], two: ['p', 'q'] } },
  ],
  ['different ports', [a({ ports: [80], via: 'x' }), b({ ports: [443] })], undefined],
  [
    'ports that overlap',
    [a({ ports: [[8000, 8080]], via: 'x' }), b({ ports: [[8040, 9000]] })],
    tied('via'),
  ],
  ['.x and *.x', [a({ to: ['.example'], via: 'x' }), b({ to: ['*.example'] })], tied('via')],
  [
    'one set',
    [a({ to: ['hosts'], via: 'x' }), b({ to: ['hosts'] })],
    tied('via'),
    { sets: { hosts: ['a.example'] } },
  ],
  [
    'two sets that share a host',
    [a({ to: ['hosts'], via: 'x' }), b({ to: ['others'] })],
    tied('via'),
    { sets: { hosts: ['c.example', 'a.example'], others: ['d.example', 'a.example'] } },
  ],
  [
    'two sets that share nothing',
    [a({ to: ['hosts'], via: 'x' }), b({ to: ['others'] })],
    undefined,
    { sets: { hosts: ['c.example'], others: ['d.example'] } },
  ],
  ['everything', [a({ to: ['*'], via: 'x' }), b({ to: ['*'] })], tied('via')],
  ['a network', [a({ to: ['8.8.8.0/24'], via: 'x' }), b({ to: ['8.8.8.0/24'] })], tied('via')],
  ['paths that meet', [a({ paths: ['/a/*/c'], via: 'x' }), b({ paths: ['/a/b/*'] })], tied('via')],
  [
    'paths that never meet',
    [a({ paths: ['/a/**'], via: 'x' }), b({ paths: ['/b/**'] })],
    undefined,
  ],
  ['a longer path decides', [a({ paths: ['/**'], via: 'x' }), b({ paths: ['/b/**'] })], undefined],
  [
    'fewer methods decide',
    [a({ methods: ['GET'], via: 'x' }), b({ methods: ['GET', 'PUT'] })],
    undefined,
  ],
  [
    'as many methods',
    [a({ methods: ['GET', 'POST'], via: 'x' }), b({ methods: ['GET', 'PUT'] })],
    tied('via'),
  ],
  ['one has expired', [a({ via: 'x', expiresMs: NOW - 1 }), b()], undefined],
]);

const evadable =
  'fault: the deny "d" looks at methods or paths, which a tunnel hides, and the rule "a" allows tunnels there';

table('a deny that a tunnel evades', [
  ['the host', [a(), d({ paths: ['/admin/**'] })], evadable],
  ['by method', [a(), d({ methods: ['POST'] })], evadable],
  ['a host inside', [a(), d({ to: ['.example'], methods: ['POST'] })], evadable],
  ['a host around', [a({ to: ['*'] }), d({ methods: ['POST'] })], evadable],
  ['an address', [a({ to: ['8.8.8.8'] }), d({ to: ['*'], methods: ['POST'] })], evadable],
  ['a raw tunnel to 80', [a({ ports: [80], tls: 'off' }), d({ methods: ['POST'] })], evadable],
  ['tunnels to 80 are read', [a({ ports: [80] }), d({ methods: ['POST'] })], undefined],
  ['no tunnel is allowed', [a({ paths: ['/**'] }), d({ paths: ['/admin/**'] })], undefined],
  ['another host', [a(), d({ to: ['b.example'], methods: ['POST'] })], undefined],
  ['another caller', [a({ allow: ['p'] }), d({ deny: ['q'], methods: ['POST'] })], undefined],
  ['another port', [a(), d({ ports: [80], methods: ['POST'] })], undefined],
  ['one that only reports', [a(), d({ methods: ['POST'], report: true })], undefined],
]);

it('places a problem at its rule', () => {
  const at = { file: 'x.yaml', line: 7, column: 5 };
  const problems = findRuleProblems(policyConfig([a(), { ...b({ via: 'x' }), at }]), NOW);
  assert.deepEqual(
    problems.map((problem) => problem.at),
    [at],
  );
});
