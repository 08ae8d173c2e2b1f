import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadFiles } from '../../test/support/config.ts';

const POLICY = `
networks: { owned: [10.0.0.0/8] }
principals:
  a: { owner: x, identify: [{ header: { name: X-A, value: { env: A } } }] }
  b: { identify: [{ bearer: { token: { literal: one } } }] }
groups: { g: [a] }
sets: { s: { hosts: { file: s.txt } }, p: { ranges: { provider: aws, region: eu-west-1 } } }
rules:
  - { name: r1, allow: [g], to: [s], via: e }
  - { name: r2, deny: ["*"], to: [b.example], expires: 2027-01-01 }
exits:
  e: { localAddress: 10.0.0.1, public: [203.0.113.1] }
  corp: { parentProxy: { url: "http://proxy.example:3128", credential: c } }
credentials: { c: { for: proxy.example, basic: { username: gw, password: { literal: one } } } }
`;

function digest(policy = POLICY, list = 'a.example\nb.example\n'): string {
  return loadFiles({ 'sekisho.yaml': `version: 1\n${policy}`, 's.txt': list }).digest;
}

const edit = (from: string, to: string) => {
  assert.ok(POLICY.includes(from));
  return POLICY.replace(from, to);
};

test('the digest is a SHA-256', () => {
  assert.match(digest(), /^sha256:[0-9a-f]{64}$/);
});

const SAME: Readonly<Record<string, () => string>> = {
  'comments and blank lines': () => digest(`# hello\n\n${POLICY}`),
  'the order of keys in a map': () =>
    digest(
      edit(
        '{ name: r1, allow: [g], to: [s], via: e }',
        '{ via: e, to: [s], allow: [g], name: r1 }',
      ),
    ),
  'the order of sections': () => {
    const sections = POLICY.split(/\n(?=\w)/);
    return digest(`\n${sections.reverse().join('\n')}`);
  },
  'the order of rules': () => digest(POLICY.replace(/(.*r1.*\n)(.*r2.*\n)/, '$2$1')),
  'the name of the gateway': () => digest(`gateway: { name: other }${POLICY}`),
  'the local address of an exit': () => digest(edit('10.0.0.1', '10.0.0.2')),
  'the value of a literal secret': () => digest(POLICY.replaceAll('literal: one', 'literal: two')),
  'the order and the comments of a list of hosts': () =>
    digest(POLICY, '# x\nb.example # y\na.example\n'),
  'the file in which a rule stands': () => {
    const [main = '', rest = ''] = POLICY.split(/(?=rules:)/);
    const files = {
      'sekisho.yaml': `version: 1\ninclude: [more.yaml]\n${main}`,
      'more.yaml': rest,
    };
    return loadFiles({ ...files, 's.txt': 'a.example\nb.example\n' }).digest;
  },
};

for (const [what, changed] of Object.entries(SAME)) {
  test(`the digest does not depend on ${what}`, () => assert.equal(changed(), digest()));
}

const OTHER: Readonly<Record<string, () => string>> = {
  'a destination': () => digest(edit('to: [b.example]', 'to: [c.example]')),
  'a line of a list of hosts': () => digest(POLICY, 'a.example\n'),
  'where a secret comes from': () => digest(edit('env: A', 'env: B')),
  'an owned network': () => digest(edit('10.0.0.0/8', '10.0.0.0/9')),
  enforcement: () => digest(`enforcement: report${POLICY}`),
  'the last day of a rule': () => digest(edit('2027-01-01', '2027-01-02')),
  'a parent proxy': () => digest(edit('proxy.example:3128', 'proxy.example:3129')),
  'who resolves': () => digest(edit('credential: c }', 'credential: c, resolve: parent }')),
  'the user that a parent proxy knows': () => digest(edit('username: gw', 'username: other')),
  'what a set takes of a published list': () => digest(edit('eu-west-1', 'eu-west-2')),
  'the members of a group': () => digest(edit('g: [a]', 'g: [a, b]')),
};

for (const [what, changed] of Object.entries(OTHER)) {
  test(`the digest changes with ${what}`, () => assert.notEqual(changed(), digest()));
}
