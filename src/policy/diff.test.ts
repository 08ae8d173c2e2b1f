import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allow, deny, NOW, parentExit, policyConfig } from '../../test/support/policy.ts';
import type { RuleConfig } from '../config/config.ts';
import { type Difference, diff } from './diff.ts';

const SIGNS = { gains: '+', loses: '-', changes: '~' };

function told({ change, principal, destination, request, because }: Difference): string {
  const what = request === undefined ? destination : `${destination} ${request}`;
  return `${SIGNS[change]} ${principal} ${what} (${because})`;
}

type Written = Parameters<typeof policyConfig>[1];
type Row = readonly [
  what: string,
  before: readonly RuleConfig[],
  after: readonly RuleConfig[],
  lines: readonly string[],
  writtenBefore?: Written,
  writtenAfter?: Written,
];

const p = { allow: ['p'] };
const rows: readonly Row[] = [
  ['nothing', [allow({})], [allow({})], []],
  [
    'another order',
    [allow({ name: 'a' }), allow({ name: 'b' })],
    [allow({ name: 'b' }), allow({ name: 'a' })],
    [],
  ],
  ['another name', [allow({ name: 'a' })], [allow({ name: 'b' })], []],
  [
    'a host more',
    [allow({ ...p, to: ['a.example'] })],
    [allow({ ...p, to: ['a.example', 'b.example'] })],
    ['+ p b.example:443 (rule allowing)', '+ p b.example:80 (rule allowing)'],
  ],
  [
    'a rule less',
    [allow({ ...p, to: ['a.example'], ports: [443] })],
    [],
    ['- p a.example:443 (rule allowing no longer lets it pass)'],
  ],
  [
    'a rule less that another stands in for',
    [allow({ to: ['a.example'], name: 'x' }), allow({})],
    [allow({})],
    [],
  ],
  [
    'a suffix',
    [],
    [allow({ ...p, to: ['.example'], ports: [443] })],
    ['+ p .example:443 (rule allowing)'],
  ],
  [
    'below a suffix',
    [],
    [allow({ ...p, to: ['*.example'], ports: [443] })],
    ['+ p *.example:443 (rule allowing)'],
  ],
  [
    'an apex more',
    [allow({ ...p, to: ['*.example'], ports: [443] })],
    [allow({ ...p, to: ['.example'], ports: [443] })],
    ['+ p example:443 (rule allowing)'],
  ],
  [
    'a deny inside what is allowed',
    [allow({ ports: [443] })],
    [allow({ ports: [443] }), deny({ deny: ['p'], to: ['.bad.example'] })],
    ['- p .bad.example:443 (rule denying denies it)'],
  ],
  [
    'a deny around what is allowed',
    [allow({ ...p, to: ['a.bad.example'], ports: [443] })],
    [allow({ ...p, to: ['a.bad.example'], ports: [443] }), deny({ to: ['.bad.example'] })],
    ['- p a.bad.example:443 (rule denying denies it)'],
  ],
  [
    'a deny in report mode',
    [allow({ ports: [443] }), deny({ report: true })],
    [allow({ ports: [443] }), deny({})],
    ['- p *:443 (rule denying denies it)', '- q *:443 (rule denying denies it)'],
  ],
  [
    'more ports',
    [allow({ ...p, to: ['a.example'], ports: [[8000, 8080]] })],
    [allow({ ...p, to: ['a.example'], ports: [[8000, 8090]] })],
    ['+ p a.example:8081-8090 (rule allowing)'],
  ],
  [
    'an exit',
    [allow({ ...p, to: ['a.example'], ports: [443] })],
    [allow({ ...p, to: ['a.example'], ports: [443], via: 'fixed' })],
    ['~ p a.example:443 (exit fixed; rule allowing)'],
  ],
  [
    'a parent proxy that resolves from now on',
    [allow({ ...p, to: ['a.example'], ports: [443], via: 'corp' })],
    [allow({ ...p, to: ['a.example'], ports: [443], via: 'corp' })],
    ['~ p a.example:443 (exit corp through corp.example:3128, which resolves; rule allowing)'],
    { exits: [parentExit('corp', 'local')] },
    { exits: [parentExit('corp', 'parent')] },
  ],
  [
    'an address that a parent proxy no longer lets be seen',
    [
      allow({ ...p, to: ['a.example'], ports: [443], via: 'corp' }),
      deny({ to: ['192.0.2.0/24'], ports: [443] }),
    ],
    [allow({ ...p, to: ['a.example'], ports: [443], via: 'corp' })],
    [],
    { exits: [parentExit('corp', 'parent')] },
    { exits: [parentExit('corp', 'parent')] },
  ],
  [
    'a method',
    [allow({ ...p, to: ['a.example'], methods: ['GET'] })],
    [allow({ ...p, to: ['a.example'], methods: ['GET', 'PUT'] })],
    ['+ p a.example:443 PUT (rule allowing)', '+ p a.example:80 PUT (rule allowing)'],
  ],
  [
    'a path',
    [],
    [allow({ ...p, to: ['a.example'], methods: ['GET'], paths: ['/x/**'] })],
    ['+ p a.example:443 GET /x/** (rule allowing)', '+ p a.example:80 GET /x/** (rule allowing)'],
  ],
  [
    'a network so broad that both its ends are special',
    [],
    [allow({ ...p, to: ['0.0.0.0/0'], ports: [53] })],
    ['+ p 0.0.0.0/0:53 (rule allowing)'],
  ],
  [
    'a network',
    [],
    [allow({ ...p, to: ['8.8.8.0/24'], ports: [53] })],
    ['+ p 8.8.8.0/24:53 (rule allowing)'],
  ],
  [
    'addresses in place of public ones',
    [allow({ ...p, to: ['a.example'], ports: [443] })],
    [allow({ ...p, to: ['a.example'], ports: [443], addresses: ['10.0.5.0/24'] })],
    [
      '- p a.example:443 (rule allowing no longer lets it pass)',
      '+ p a.example:443 at 10.0.5.0/24 (rule allowing)',
    ],
  ],
  [
    'a denied network',
    [allow({ ...p, to: ['a.example'], ports: [443] })],
    [allow({ ...p, to: ['a.example'], ports: [443] }), deny({ to: ['8.8.8.0/24'] })],
    ['- p a.example:443 at 8.8.8.0/24 (rule denying denies it)'],
  ],
  ['a rule that has expired', [], [allow({ expiresMs: NOW - 1 })], []],
  [
    'a set',
    [allow({ ...p, to: ['hosts'], ports: [443] })],
    [allow({ ...p, to: ['hosts'], ports: [443] })],
    ['+ p b.example:443 (rule allowing)'],
    { sets: { hosts: ['a.example'] } },
    { sets: { hosts: ['a.example', 'b.example'] } },
  ],
  [
    'a group',
    [allow({ allow: ['team'], to: ['a.example'], ports: [443] })],
    [allow({ allow: ['team'], to: ['a.example'], ports: [443] })],
    [
      '- p a.example:443 (rule allowing no longer lets it pass)',
      '+ q a.example:443 (rule allowing)',
    ],
    { groups: { team: ['p'] } },
    { groups: { team: ['q'] } },
  ],
  [
    'a principal more',
    [allow({ ports: [443] })],
    [allow({ ports: [443] })],
    ['+ r *:443 (rule allowing)'],
    {},
    { principals: ['p', 'q', 'r'] },
  ],
  [
    'a principal less',
    [allow({ ports: [443] })],
    [allow({ ports: [443] })],
    ['- q *:443 (the principal is gone)'],
    {},
    { principals: ['p'] },
  ],
  [
    'anonymous',
    [],
    [allow({ allow: ['anonymous'], ports: [443] })],
    ['+ anonymous *:443 (rule allowing)'],
  ],
  [
    'a template',
    [],
    [allow({ allow: ['fn-{name}'], ports: [443] })],
    ['+ fn-{name} *:443 (rule allowing)'],
    { principals: ['fn-{name}'] },
    { principals: ['fn-{name}'] },
  ],
  [
    'a principal in report mode',
    [deny({ to: ['bad.example'] })],
    [deny({ to: ['bad.example'] })],
    ['+ p *:* (report mode)', '+ p bad.example:* (rule denying only reports)'],
    { principals: ['p'] },
    { principals: [{ name: 'p', report: true }] },
  ],
  [
    'enforcement',
    [],
    [],
    [
      '- anonymous *:* (report mode no longer lets it pass)',
      '- p *:* (report mode no longer lets it pass)',
    ],
    { principals: ['p'], enforcement: 'report' },
    { principals: ['p'] },
  ],
];

describe('the difference of two policies', () => {
  for (const [what, before, after, lines, writtenBefore, writtenAfter] of rows) {
    it(what, () => {
      const differences = diff(
        policyConfig(before, writtenBefore),
        policyConfig(after, writtenAfter),
        NOW,
      );
      assert.deepEqual(differences.map(told), lines);
    });
    it(`${what}, the other way round`, () => {
      const back = diff(
        policyConfig(after, writtenAfter),
        policyConfig(before, writtenBefore),
        NOW,
      );
      assert.equal(back.length, lines.length);
    });
  }
});
