import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  address,
  allow,
  deny,
  NOW,
  nothingOwn,
  owning,
  parentExit,
  policyConfig,
  principal,
  question,
} from '../../test/support/policy.ts';
import type { RuleConfig } from '../config/config.ts';
import { DEFAULT_SETTINGS, type Decision } from '../core/decision.ts';
import { Refusal } from '../core/refusal.ts';
import { compile, decideAddress, decideAddresses, decideName, isLeftToParent } from './policy.ts';

type Written = Parameters<typeof policyConfig>[1];
type Asked = Parameters<typeof question>[0];

function byName(rules: readonly RuleConfig[], asked: Asked, written?: Written): Decision {
  return decideName(compile(policyConfig(rules, written)), question(asked));
}

function byAddress(
  rules: readonly RuleConfig[],
  asked: Asked,
  ip: string,
  own = nothingOwn,
  written?: Written,
): Decision {
  return decideAddress(compile(policyConfig(rules, written)), question(asked), address(ip), own);
}

/** `allow`, `rule-deny`, `rule-deny (report)`; with the rule where one decided: `allow saas`. */
function told(decision: Decision): string {
  const word = decision.effect === 'allow' ? 'allow' : decision.reason;
  const mode = decision.mode === 'report' ? ' (report)' : '';
  return `${word}${mode}${decision.rule === undefined ? '' : ` ${decision.rule}`}`;
}

function cases<T>(file: string): T {
  const url = new URL(`../../test/cases/${file}`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as T;
}

describe('the cases of host names', () => {
  const { cases: rows } = cases<{ cases: { to: string[]; host: string; decision: string }[] }>(
    'hosts.json',
  );
  for (const { to, host, decision } of rows) {
    it(`${JSON.stringify(host)} against [${to}]: ${decision}`, () => {
      const ask = () => byName([allow({ to })], { to: `${host}:443` });
      if (decision === 'invalid') assert.throws(ask, Refusal);
      else assert.equal(ask().effect, decision);
    });
  }
});

describe('the cases of addresses', () => {
  const { forbidden, permitted } = cases<{ forbidden: string[]; permitted: string[] }>(
    'addresses.json',
  );
  const everything = [allow({ to: ['*', '0.0.0.0/0', '::/0'] })];
  for (const ip of forbidden) {
    it(`${ip} is forbidden, as a literal and as an answer`, () => {
      const named = byAddress(everything, { to: 'a.example:443' }, ip);
      const literal = byAddress(everything, { to: ip }, ip);
      assert.equal(told(named), 'address-forbidden allowing');
      assert.equal(told(literal), 'address-forbidden allowing');
    });
    it(`${ip} is opened by an entry that names it exactly`, () => {
      const rules = [allow({ addresses: [ip] })];
      assert.equal(told(byAddress(rules, { to: 'a.example:443' }, ip)), 'allow allowing');
    });
  }
  for (const ip of permitted) {
    it(`${ip} is permitted, as a literal and as an answer`, () => {
      assert.equal(told(byAddress(everything, { to: 'a.example:443' }, ip)), 'allow allowing');
      assert.equal(told(byAddress(everything, { to: ip }, ip)), 'allow allowing');
    });
  }
});

type Row = readonly [what: string, rules: readonly RuleConfig[], asked: Asked, expected: string];

function table(title: string, rows: readonly Row[], written?: Written): void {
  describe(title, () => {
    for (const [what, rules, asked, expected] of rows) {
      it(what, () => {
        assert.equal(told(byName(rules, asked, written)), expected);
        assert.equal(told(byName(rules.toReversed(), asked, written)), expected, 'reversed');
      });
    }
  });
}

const host = { to: 'a.example:443' };

table(
  'who',
  [
    ['nothing matches', [], host, 'no-matching-rule'],
    ['an empty list of principals is nobody', [allow({ allow: [] })], host, 'no-matching-rule'],
    ['another principal', [allow({ allow: ['q'] })], host, 'no-matching-rule'],
    ['nobody identified', [allow({ allow: ['q'] })], { ...host, by: null }, 'no-identity'],
    ['* in an allow is not anonymous', [allow({})], { ...host, by: null }, 'no-identity'],
    ['anonymous', [allow({ allow: ['anonymous'] })], { ...host, by: null }, 'allow allowing'],
    ['anonymous is not p', [allow({ allow: ['anonymous'] })], host, 'no-matching-rule'],
    [
      '* in a deny is everyone',
      [deny({}), allow({ allow: ['anonymous'] })],
      { ...host, by: null },
      'rule-deny denying',
    ],
    [
      'a deny wins over an allow',
      [allow({ to: ['a.example'] }), deny({})],
      host,
      'rule-deny denying',
    ],
    ['a deny excepts', [allow({}), deny({ except: ['p'] })], host, 'allow allowing'],
    ['a deny excepts a group', [allow({}), deny({ except: ['team'] })], host, 'allow allowing'],
    ['a deny excepts another', [allow({}), deny({ except: ['q'] })], host, 'rule-deny denying'],
    ['a group', [allow({ allow: ['team'] })], host, 'allow allowing'],
    ['a group of groups', [allow({ allow: ['all'] })], host, 'allow allowing'],
    ['a group that holds itself', [allow({ allow: ['circle'] })], host, 'allow allowing'],
    ['a glob', [allow({ allow: ['functions'] })], { ...host, by: 'fn-orders' }, 'allow allowing'],
    [
      'a glob is the whole name',
      [allow({ allow: ['functions'] })],
      { ...host, by: 'my-fn-orders' },
      'no-matching-rule',
    ],
    [
      'an instance of a template',
      [allow({ allow: ['job-{name}'] })],
      { ...host, by: principal('job-a', 'job-{name}') },
      'allow allowing',
    ],
    [
      'an instance by its name',
      [allow({ allow: ['job-a'] })],
      { ...host, by: principal('job-a', 'job-{name}') },
      'allow allowing',
    ],
    [
      'a group that holds the template',
      [allow({ allow: ['jobs'] })],
      { ...host, by: principal('job-a', 'job-{name}') },
      'allow allowing',
    ],
    [
      'not the instance of another template',
      [allow({ allow: ['jobs'] })],
      { ...host, by: principal('job-a', '{name}') },
      'no-matching-rule',
    ],
    [
      'an instance spelt like a group is not in it',
      [allow({ allow: ['team'] })],
      { ...host, by: principal('team', '{name}') },
      'no-matching-rule',
    ],
    [
      'an instance spelt like a word is not meant by it',
      [allow({ allow: ['anonymous'] })],
      { ...host, by: principal('anonymous', '{name}') },
      'no-matching-rule',
    ],
  ],
  {
    principals: ['p', 'q', 'job-{name}', '{name}'],
    groups: {
      team: ['p'],
      all: ['team'],
      functions: ['fn-*'],
      jobs: ['job-{name}'],
      circle: ['p', 'circle2'],
      circle2: ['circle'],
    },
  },
);

table(
  'which names and literals',
  [
    ['* is no literal', [allow({})], { to: '8.8.8.8' }, 'no-matching-rule'],
    ['a network is no name', [allow({ to: ['0.0.0.0/0'] })], host, 'no-matching-rule'],
    [
      'a network holds a literal',
      [allow({ to: ['8.8.8.0/24'] })],
      { to: '8.8.8.8' },
      'allow allowing',
    ],
    [
      'a network beside a literal',
      [allow({ to: ['8.8.9.0/24'] })],
      { to: '8.8.8.8' },
      'no-matching-rule',
    ],
    [
      'a network of IPv6',
      [allow({ to: ['2606:4700::/32'] })],
      { to: '[2606:4700::1]:443' },
      'allow allowing',
    ],
    [
      'a network holds the address inside a translated literal',
      [allow({ to: ['8.8.8.0/24'] })],
      { to: '[64:ff9b::808:808]:443' },
      'allow allowing',
    ],
    [
      'a deny of * is literals too',
      [deny({}), allow({ to: ['8.8.8.8'] })],
      { to: '8.8.8.8' },
      'rule-deny denying',
    ],
    [
      'a deny of a network is literals',
      [deny({ to: ['8.0.0.0/8'] }), allow({ to: ['8.8.8.8'] })],
      { to: '8.8.8.8' },
      'rule-deny denying',
    ],
    [
      'a deny of a network is the literal inside',
      [deny({ to: ['8.0.0.0/8'] }), allow({ to: ['::/0'] })],
      { to: '[64:ff9b::808:808]:443' },
      'rule-deny denying',
    ],
    ['a deny of a suffix', [deny({ to: ['.example'] }), allow({})], host, 'rule-deny denying'],
    ['a set', [allow({ to: ['saas'] })], host, 'allow allowing'],
    [
      'a set in a deny',
      [allow({}), deny({ to: ['saas'] })],
      { to: 'x.b.example:443' },
      'rule-deny denying',
    ],
  ],
  { sets: { saas: ['a.example', '.b.example'] } },
);

table('ports', [
  ['a tunnel to 443', [allow({})], host, 'allow allowing'],
  ['a tunnel to another', [allow({})], { to: 'a.example:8443' }, 'no-matching-rule'],
  [
    'plain http to 80',
    [allow({})],
    { to: 'a.example:80', scheme: 'http', request: 'GET /' },
    'allow allowing',
  ],
  [
    'plain http to 443',
    [allow({})],
    { to: 'a.example:443', scheme: 'http', request: 'GET /' },
    'allow allowing',
  ],
  ['a tunnel to 80 is plain http', [allow({})], { to: 'a.example:80' }, 'allow allowing'],
  [
    'a tunnel of raw bytes to 80',
    [allow({ tls: 'off' })],
    { to: 'a.example:80' },
    'no-matching-rule',
  ],
  ['listed ports replace the default', [allow({ ports: [8443] })], host, 'no-matching-rule'],
  ['a listed port', [allow({ ports: [8443] })], { to: 'a.example:8443' }, 'allow allowing'],
  [
    'the end of a range',
    [allow({ ports: [[8000, 8080]] })],
    { to: 'a.example:8080' },
    'allow allowing',
  ],
  [
    'behind a range',
    [allow({ ports: [[8000, 8080]] })],
    { to: 'a.example:8081' },
    'no-matching-rule',
  ],
  ['an empty list of ports', [allow({ ports: [] })], host, 'no-matching-rule'],
  [
    'a deny is for all ports',
    [allow({ ports: [9] }), deny({})],
    { to: 'a.example:9' },
    'rule-deny denying',
  ],
  ['a deny of one port', [allow({}), deny({ ports: [9] })], host, 'allow allowing'],
]);

const get = (path: string): Asked => ({
  to: 'a.example:80',
  scheme: 'http',
  request: `GET ${path}`,
});
const acme = allow({ to: ['a.example'], paths: ['/repos/acme/**'] });
const noAdmin = deny({ to: ['a.example'], paths: ['/admin/**'] });

table('methods and paths', [
  ['a method', [allow({ methods: ['GET', 'POST'] })], get('/'), 'allow allowing'],
  ['another method', [allow({ methods: ['POST'] })], get('/'), 'no-matching-rule'],
  [
    'a method in small letters is another',
    [allow({ methods: ['GET'] })],
    { ...get('/'), request: 'get /' },
    'no-matching-rule',
  ],
  [
    'a denied method in small letters is that method',
    [allow({}), deny({ methods: ['POST'] })],
    { ...get('/'), request: 'post /' },
    'rule-deny denying',
  ],
  ['no method at all', [allow({ methods: [] })], get('/'), 'no-matching-rule'],
  ['a path', [acme], get('/repos/acme/x/y'), 'allow allowing'],
  ['another path', [acme], get('/repos/other'), 'no-matching-rule'],
  ['a path with an escaped letter', [acme], get('/repos/%61cme/x'), 'allow allowing'],
  [
    'a denied path with an escaped letter',
    [allow({}), noAdmin],
    get('/%61dmin/x'),
    'rule-deny denying',
  ],
  ['an unclear path without rules on paths', [allow({})], get('/a/../b'), 'allow allowing'],
  ['an opaque tunnel', [acme], host, 'no-matching-rule'],
  ['an opaque tunnel and a deny with paths', [allow({}), noAdmin], host, 'allow allowing'],
  [
    'a tunnel to 80, whose requests are decided again',
    [acme],
    { to: 'a.example:80' },
    'allow allowing',
  ],
  [
    'a tunnel to 80 of raw bytes',
    [{ ...acme, tls: 'off', ports: [{ first: 80, last: 80 }] }],
    { to: 'a.example:80' },
    'no-matching-rule',
  ],
  [
    'a tunnel to 80 and a deny with paths',
    [allow({}), noAdmin],
    { to: 'a.example:80' },
    'allow allowing',
  ],
]);

const EVASIONS = [
  '/repos/acme/../../admin/x',
  '/repos/acme/%2e%2e/%2E%2E/admin/x',
  '/repos/acme/.%2e/x',
  '/repos/acme/./x',
  '/repos/acme/x/..',
  '/repos/acme/x/.',
  '/repos/acme//admin',
  '//repos/acme/x',
  '/repos/acme/%2Fadmin',
  '/repos/acme/%2fadmin',
  '/repos/acme/..%5cadmin',
  '/repos/acme/\\admin',
  '/repos/acme/x;y',
  '/repos/acme/..;/admin',
  '/repos/acme/%3bx',
  '/repos/acme/%252e%252e/admin',
  '/repos/acme/%252fadmin',
  '/repos/acme/%00',
  '/repos/acme/%',
  '/repos/acme/%zz',
  '/repos/acme/%c0%ae%c0%ae/admin',
  '/repos/acme/%c0%afadmin',
];

table(
  'paths in which servers see different ones',
  EVASIONS.flatMap((path): Row[] => [
    [`${path} is not allowed by path`, [acme], get(path), 'no-matching-rule'],
    [
      `${path} is denied where paths are denied`,
      [allow({}), noAdmin],
      get(path),
      'rule-deny denying',
    ],
  ]),
);

table(
  'paths that are plain',
  [
    '/repos/acme/compare/main...dev',
    '/repos/acme/.well-known/x',
    '/repos/acme/a..b',
    '/repos/acme/caf%C3%A9',
    '/repos/acme/100%25',
  ].map((path): Row => [path, [acme, noAdmin], get(path), 'allow allowing']),
);

const most = (name: string, more: Parameters<typeof allow>[0]) =>
  allow({ name, via: name, ...more });

table(
  'the most specific allow',
  [
    [
      'an exact host before its suffix',
      [most('exact', { to: ['a.b.example'] }), most('suffix', { to: ['*.b.example'] })],
      { to: 'a.b.example:443' },
      'allow exact',
    ],
    [
      'a longer suffix',
      [most('long', { to: ['.b.example'] }), most('short', { to: ['.example'] })],
      { to: 'a.b.example:443' },
      'allow long',
    ],
    [
      '.x and *.x are equal',
      [most('one', { to: ['.b.example'] }), most('two', { to: ['*.b.example'] })],
      { to: 'a.b.example:443' },
      'policy-ambiguous one',
    ],
    [
      'a suffix before *',
      [most('suffix', { to: ['.example'] }), most('any', {})],
      host,
      'allow suffix',
    ],
    [
      'a suffix before an exact host in a set',
      [most('suffix', { to: ['.example'] }), most('set', { to: ['hosts'] })],
      host,
      'allow suffix',
    ],
    ['a set before *', [most('set', { to: ['hosts'] }), most('any', {})], host, 'allow set'],
    [
      'a set by its matching entry',
      [most('exact', { to: ['hosts'] }), most('suffix', { to: ['suffixes'] })],
      host,
      'allow exact',
    ],
    [
      'a longer network',
      [most('long', { to: ['8.8.8.0/24'] }), most('short', { to: ['8.0.0.0/8'] })],
      { to: '8.8.8.8' },
      'allow long',
    ],
    [
      'then the longest path',
      [most('long', { paths: ['/a/**'] }), most('short', { paths: ['/**'] })],
      get('/a/b'),
      'allow long',
    ],
    [
      'by the pattern that matches',
      [most('one', { paths: ['/a/**'] }), most('two', { paths: ['/b/very/long/**', '/**'] })],
      get('/a/b'),
      'allow one',
    ],
    [
      'a path before none',
      [most('path', { paths: ['/**'] }), most('none', {})],
      get('/a'),
      'allow path',
    ],
    [
      'then fewest methods',
      [most('one', { methods: ['GET'] }), most('two', { methods: ['GET', 'PUT'] })],
      get('/a'),
      'allow one',
    ],
    [
      'methods before none',
      [most('methods', { methods: ['GET'] }), most('none', {})],
      get('/a'),
      'allow methods',
    ],
    [
      'the host before the path',
      [most('host', { to: ['a.example'] }), most('path', { paths: ['/a/b/**'] })],
      get('/a/b/c'),
      'allow host',
    ],
    [
      'a network of the form that is dialled before one of the address inside',
      [most('inner', { to: ['0.0.0.0/0'] }), most('outer', { to: ['64:ff9b::/96'] })],
      { to: '[64:ff9b::808:808]:443' },
      'allow outer',
    ],
    ['a tie of equal settings', [allow({ name: 'b' }), allow({ name: 'a' })], host, 'allow a'],
    [
      'a tie of different exits',
      [allow({ name: 'b', via: 'x' }), allow({ name: 'a' })],
      host,
      'policy-ambiguous a',
    ],
    [
      'a tie of different tls',
      [allow({ name: 'b', tls: 'off' }), allow({ name: 'a' })],
      host,
      'policy-ambiguous a',
    ],
    [
      'a tie of different addresses',
      [allow({ name: 'b', addresses: ['10.0.0.0/8'] }), allow({ name: 'a' })],
      host,
      'policy-ambiguous a',
    ],
    [
      'a tie below the winner',
      [most('top', { to: ['a.example'] }), most('x', {}), most('y', {})],
      host,
      'allow top',
    ],
    [
      'conditions that are judged later do not tie',
      [most('x', { paths: ['/a/**'] }), most('y', { paths: ['/b/**'] })],
      { to: 'a.example:80' },
      'allow x',
    ],
    ['a deny before a tie', [most('x', {}), most('y', {}), deny({})], host, 'rule-deny denying'],
    [
      'the most specific deny is told',
      [deny({ name: 'a' }), deny({ name: 'z', to: ['a.example'] })],
      host,
      'rule-deny z',
    ],
  ],
  { sets: { hosts: ['a.example'], suffixes: ['.example'] } },
);

table('expiry', [
  ['until its last millisecond', [allow({ expiresMs: NOW })], host, 'allow allowing'],
  ['and not after', [allow({ expiresMs: NOW - 1 })], host, 'no-matching-rule'],
  ['a deny expires too', [allow({}), deny({ expiresMs: NOW - 1 })], host, 'allow allowing'],
]);

table('a deny rule in report mode', [
  [
    'passes what is allowed',
    [allow({}), deny({ report: true })],
    host,
    'rule-deny (report) denying',
  ],
  ['opens nothing that no rule allows', [deny({ report: true })], host, 'no-matching-rule'],
  [
    'gives way to a deny that enforces',
    [allow({}), deny({ report: true, to: ['a.example'] }), deny({ name: 'real' })],
    host,
    'rule-deny real',
  ],
  [
    'does not pass a tie',
    [most('x', {}), most('y', {}), deny({ report: true })],
    host,
    'policy-ambiguous x',
  ],
]);

table(
  'enforcement: report',
  [
    ['no rule', [], host, 'no-matching-rule (report)'],
    ['a deny', [deny({})], host, 'rule-deny (report) denying'],
    ['an allow', [allow({})], host, 'allow allowing'],
    ['nobody identified', [], { ...host, by: null }, 'no-matching-rule (report)'],
    ['a tie', [most('x', {}), most('y', {})], host, 'policy-ambiguous x'],
  ],
  { enforcement: 'report' },
);

table(
  'a principal in report mode',
  [
    ['no rule', [], host, 'no-matching-rule (report)'],
    ['a deny', [allow({}), deny({})], host, 'rule-deny (report) denying'],
    ['another principal', [], { ...host, by: 'q' }, 'no-matching-rule'],
    ['nobody identified', [], { ...host, by: null }, 'no-identity'],
    [
      'an instance of a template in report mode',
      [],
      { ...host, by: principal('job-a', 'job-{name}') },
      'no-matching-rule (report)',
    ],
  ],
  { principals: [{ name: 'p', report: true }, 'q', { name: 'job-{name}', report: true }] },
);

describe('what a decision carries', () => {
  it('the settings and the owner of the rule', () => {
    const rules = [allow({ via: 'x', tls: 'off', owner: 'rule@x' })];
    const decision = byName(rules, { ...host, by: { name: 'p', method: 'basic', owner: 'p@x' } });
    assert.deepEqual(decision, {
      stage: 'name',
      effect: 'allow',
      reason: 'rule-allow',
      rule: 'allowing',
      mode: 'enforce',
      settings: { ...DEFAULT_SETTINGS, via: 'x', tls: 'off' },
      owner: 'rule@x',
    });
  });
  it('else the owner of the principal', () => {
    const by = { name: 'p', method: 'basic', owner: 'p@x' } as const;
    assert.equal(byName([allow({})], { ...host, by }).owner, 'p@x');
    assert.equal(byName([], { ...host, by }).owner, 'p@x');
    assert.equal(byName([deny({ owner: 'd@x' })], { ...host, by }).owner, 'd@x');
  });
  it('a reported deny passes with the settings of the rule that allows', () => {
    const decision = byName([allow({ via: 'x' }), deny({ report: true })], host);
    assert.deepEqual(decision.settings, { ...DEFAULT_SETTINGS, via: 'x' });
  });
  it('a reported lack of rules passes with the default settings', () => {
    const decision = byName([], host, { enforcement: 'report' });
    assert.deepEqual(decision.settings, DEFAULT_SETTINGS);
  });
  it('names both rules of a tie', () => {
    const rules = [most('c', {}), most('b', {}), allow({ name: 'a', via: 'b' })];
    assert.match(byName(rules, host).detail ?? '', /rules a and c are equally specific/);
    assert.deepEqual(byName(rules.toReversed(), host), byName(rules, host));
  });
  it('says when only a tunnel kept a rule from matching', () => {
    assert.match(byName([acme], host).detail ?? '', /tunnel cannot be read/);
    assert.equal(byName([{ ...acme, principals: ['q'] }], host).detail, undefined);
    assert.equal(byName([acme], { to: 'a.example:444' }).detail, undefined);
  });
  it('says when only the spelling of the path kept a rule from matching', () => {
    assert.match(byName([acme], get('/repos/acme/../x')).detail ?? '', /takes no path/);
  });
});

type AddressRow = readonly [
  what: string,
  rules: readonly RuleConfig[],
  asked: Asked,
  ip: string,
  expected: string,
];

function addressTable(
  title: string,
  rows: readonly AddressRow[],
  own = nothingOwn,
  written?: Written,
) {
  describe(title, () => {
    for (const [what, rules, asked, ip, expected] of rows) {
      it(what, () => {
        assert.equal(told(byAddress(rules, asked, ip, own, written)), expected);
        assert.equal(told(byAddress(rules.toReversed(), asked, ip, own, written)), expected);
      });
    }
  });
}

const billing = allow({ name: 'billing', to: ['a.example'], addresses: ['10.0.5.0/24'] });

addressTable(
  'by address',
  [
    ['no rule by name', [], host, '8.8.8.8', 'no-matching-rule'],
    ['public, without addresses', [allow({})], host, '8.8.8.8', 'allow allowing'],
    ['listed', [billing], host, '10.0.5.7', 'allow billing'],
    ['not listed', [billing], host, '10.0.6.7', 'address-forbidden billing'],
    ['public and not listed', [billing], host, '8.8.8.8', 'address-forbidden billing'],
    [
      'a public one that is listed',
      [allow({ addresses: ['8.8.8.0/24'] })],
      host,
      '8.8.8.8',
      'allow allowing',
    ],
    [
      '0.0.0.0/0 opens nothing private',
      [allow({ addresses: ['0.0.0.0/0'] })],
      host,
      '10.0.5.7',
      'address-forbidden allowing',
    ],
    ['a private network behind NAT64', [billing], host, '64:ff9b::a00:507', 'allow billing'],
    [
      'around metadata',
      [allow({ addresses: ['169.254.169.0/24'] })],
      host,
      '169.254.169.254',
      'address-forbidden allowing',
    ],
    [
      'metadata, exactly',
      [allow({ addresses: ['169.254.169.254'] })],
      host,
      '169.254.169.254',
      'allow allowing',
    ],
    [
      'a literal that its network opens',
      [allow({ to: ['10.0.5.0/24'] })],
      { to: '10.0.5.7' },
      '10.0.5.7',
      'allow allowing',
    ],
    [
      'a literal that a broad network does not open',
      [allow({ to: ['0.0.0.0/0'] })],
      { to: '10.0.5.7' },
      '10.0.5.7',
      'address-forbidden allowing',
    ],
    [
      'a literal that is opened and not listed',
      [allow({ to: ['10.0.5.0/24'], addresses: ['10.0.6.0/24'] })],
      { to: '10.0.5.7' },
      '10.0.5.7',
      'address-forbidden allowing',
    ],
    [
      'a literal that is listed, opened by the destination',
      [allow({ to: ['10.0.5.7'], addresses: ['0.0.0.0/0'] })],
      { to: '10.0.5.7' },
      '10.0.5.7',
      'allow allowing',
    ],
    [
      'a literal that the set opens and the broad network does not',
      [allow({ to: ['0.0.0.0/0', 'inside'] })],
      { to: '10.0.5.7' },
      '10.0.5.7',
      'allow allowing',
    ],
    [
      'a denied network of what a name resolves to',
      [allow({}), deny({ to: ['8.8.0.0/16'] })],
      host,
      '8.8.8.8',
      'rule-deny denying',
    ],
    [
      'a denied network of the address inside',
      [allow({}), deny({ to: ['8.8.0.0/16'] })],
      host,
      '64:ff9b::808:808',
      'rule-deny denying',
    ],
    [
      'a denied IPv6 network',
      [allow({}), deny({ to: ['64:ff9b::/96'] })],
      host,
      '64:ff9b::808:808',
      'rule-deny denying',
    ],
    [
      'a denied network by set',
      [allow({}), deny({ to: ['inside'] }), billing],
      host,
      '10.0.5.7',
      'rule-deny denying',
    ],
    [
      'the most specific of those that permit it',
      [billing, allow({ name: 'wide', to: ['.example'] })],
      host,
      '8.8.8.8',
      'allow wide',
    ],
    [
      'where several permit it',
      [billing, allow({ name: 'wide', addresses: ['10.0.0.0/8'] })],
      host,
      '10.0.5.7',
      'allow billing',
    ],
    [
      'a reported deny and an allow that permits it',
      [billing, deny({ report: true })],
      host,
      '10.0.5.7',
      'rule-deny (report) denying',
    ],
    [
      'a reported deny and an allow that does not',
      [billing, deny({ report: true })],
      host,
      '10.0.6.7',
      'address-forbidden billing',
    ],
  ],
  nothingOwn,
  { sets: { inside: ['10.0.5.0/24'] } },
);

addressTable(
  'in report mode',
  [
    ['a public address', [], host, '8.8.8.8', 'no-matching-rule (report)'],
    ['a private address', [], host, '10.0.5.7', 'address-forbidden'],
    ['a denied private address', [deny({})], host, '10.0.5.7', 'address-forbidden'],
    ['a denied public address', [deny({})], host, '8.8.8.8', 'rule-deny (report) denying'],
    ['a private address that a rule permits', [billing], host, '10.0.5.7', 'allow billing'],
    [
      'a denied private address that a rule permits',
      [billing, deny({})],
      host,
      '10.0.5.7',
      'rule-deny (report) denying',
    ],
    ['an address that is not the rule’s', [billing], host, '8.8.8.8', 'address-forbidden billing'],
    ['a public address of this host', [], host, '54.0.0.1', 'address-forbidden'],
    ['a listener', [], { to: 'a.example:3128' }, '54.0.0.1', 'loop'],
  ],
  owning(['54.0.0.1'], ['54.0.0.1:3128']),
  { enforcement: 'report' },
);

const ownHost = owning(['54.0.0.1', '10.0.5.9', '127.0.0.1'], ['127.0.0.1:443', '10.0.5.9:443']);

addressTable(
  'this host',
  [
    ['its public address', [allow({})], host, '54.0.0.1', 'address-forbidden allowing'],
    [
      'its public address by network',
      [allow({ addresses: ['54.0.0.0/24'] })],
      host,
      '54.0.0.1',
      'address-forbidden allowing',
    ],
    [
      'its public address, exactly',
      [allow({ addresses: ['54.0.0.1'] })],
      host,
      '54.0.0.1',
      'allow allowing',
    ],
    [
      'its private address by network',
      [allow({ ports: [9], addresses: ['10.0.5.0/24'] })],
      { to: 'a.example:9' },
      '10.0.5.9',
      'address-forbidden allowing',
    ],
    [
      'its private address, exactly',
      [allow({ ports: [9], addresses: ['10.0.5.9'] })],
      { to: 'a.example:9' },
      '10.0.5.9',
      'allow allowing',
    ],
    [
      'its own address behind NAT64',
      [allow({ addresses: ['64:ff9b::/96'] })],
      host,
      '64:ff9b::3600:1',
      'address-forbidden allowing',
    ],
    [
      'a listener, though named exactly',
      [allow({ addresses: ['10.0.5.9'] })],
      host,
      '10.0.5.9',
      'loop',
    ],
    [
      'a listener behind NAT64',
      [allow({ addresses: ['64:ff9b::a00:509'] })],
      host,
      '64:ff9b::a00:509',
      'loop',
    ],
    [
      'a listener as a literal',
      [allow({ to: ['127.0.0.1'] })],
      { to: '127.0.0.1' },
      '127.0.0.1',
      'loop',
    ],
    [
      'beside the listener',
      [allow({ to: ['127.0.0.1'], ports: [9] })],
      { to: '127.0.0.1:9' },
      '127.0.0.1',
      'allow allowing',
    ],
  ],
  ownHost,
);

describe('several addresses', () => {
  const decideAll = (rules: readonly RuleConfig[], ips: readonly string[], written?: Written) => {
    const policy = compile(policyConfig(rules, written));
    const { decision, addresses } = decideAddresses(
      policy,
      question(host),
      ips.map(address),
      nothingOwn,
    );
    return `${told(decision)}: ${addresses.join(' ')}`;
  };
  const wide = allow({ name: 'wide' });
  it('keeps those that are permitted, in order', () => {
    assert.equal(
      decideAll([wide], ['10.0.0.1', '8.8.8.8', '127.0.0.1', '1.1.1.1']),
      'allow wide: 8.8.8.8 1.1.1.1',
    );
  });
  it('keeps only those that share the rule of the first', () => {
    const rules = [wide, billing];
    assert.equal(
      decideAll(rules, ['8.8.8.8', '10.0.5.7', '1.1.1.1']),
      'allow wide: 8.8.8.8 1.1.1.1',
    );
    assert.equal(decideAll(rules, ['10.0.5.7', '8.8.8.8']), 'allow billing: 10.0.5.7');
  });
  it('keeps those apart that pass by another rule under the same reported deny', () => {
    const rules = [wide, billing, deny({ report: true })];
    assert.equal(decideAll(rules, ['10.0.5.7', '8.8.8.8']), 'rule-deny (report) denying: 10.0.5.7');
  });
  it('keeps those apart that pass in another mode', () => {
    const rules = [wide, deny({ report: true, to: ['1.1.1.0/24'] })];
    assert.equal(decideAll(rules, ['8.8.8.8', '1.1.1.1']), 'allow wide: 8.8.8.8');
  });
  it('drops those that a rule denies', () => {
    assert.equal(
      decideAll([wide, deny({ to: ['8.8.8.8'] })], ['8.8.8.8', '1.1.1.1']),
      'allow wide: 1.1.1.1',
    );
  });
  it('tells a deny before a forbidden address when none is left', () => {
    assert.equal(
      decideAll([wide, deny({ to: ['8.8.8.8'] })], ['10.0.0.1', '8.8.8.8']),
      'rule-deny denying: ',
    );
    assert.equal(decideAll([wide], ['10.0.0.1', '127.0.0.1']), 'address-forbidden wide: ');
    assert.equal(decideAll([wide], []), 'address-forbidden: ');
  });
  it('names the kind of a forbidden address and never the address', () => {
    const decision = byAddress([wide], host, '169.254.169.254');
    assert.match(decision.detail ?? '', /metadata service/);
    assert.doesNotMatch(decision.detail ?? '', /169/);
  });
});

it('refuses to compile a rule on an undefined set, which would close nothing', () => {
  assert.throws(() => compile(policyConfig([deny({ to: ['missing'] })])), TypeError);
});

it('tells callers of one name apart by their template, also the second time', () => {
  const policy = compile(
    policyConfig([allow({ allow: ['job-{name}'] })], { principals: ['job-{name}'] }),
  );
  const ask = (by: Asked['by']) => decideName(policy, question({ ...host, by: by ?? null })).effect;
  assert.equal(ask(principal('job-a', 'job-{name}')), 'allow');
  assert.equal(ask(principal('job-a')), 'deny');
  assert.equal(ask(principal('job-a', 'job-{name}')), 'allow');
});

describe('what is left to a parent proxy', () => {
  const exits = [parentExit('away', 'parent'), parentExit('here', 'local')];
  const isLeft = (to: string, via: string) => {
    const policy = compile(policyConfig([allow({ to: ['*', '8.8.8.8'], via })], { exits }));
    const asked = question({ to });
    const named = decideName(policy, asked);
    assert.equal(named.effect, 'allow');
    return isLeftToParent(named, asked.destination);
  };
  it('is a name, by an exit whose parent resolves', () => {
    assert.equal(isLeft('a.example', 'away'), true);
    assert.equal(isLeft('a.example', 'here'), false);
  });
  it('is no literal, which is its own address', () =>
    assert.equal(isLeft('8.8.8.8', 'away'), false));
  it('is not localhost, which would be another host there', () => {
    assert.equal(isLeft('localhost', 'away'), false);
    assert.equal(isLeft('a.localhost', 'away'), false);
  });
  it('is told in the settings', () => {
    const policy = compile(policyConfig([allow({ via: 'away' })], { exits }));
    assert.deepEqual(decideName(policy, question({ to: 'a.example' })).settings?.parent, {
      name: 'away.example:3128',
      resolves: true,
    });
  });
});
