import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from '../../test/support/sources.ts';

const RULES = `
  - { name: saas, owner: saas@x.example, allow: [app], to: [a.example, .b.example] }
  - { name: inside, allow: [app], to: [c.example], addresses: [10.0.5.0/24] }
  - { name: no-bad, deny: ["*"], to: [bad.b.example] }
  - { name: reads, allow: [fn], to: [a.example], methods: [GET] }
`;

function config(rules = RULES): string {
  return `version: 1
principals:
  app: { identify: [{ clientAddress: [10.0.0.0/16] }] }
  fn: { identify: [{ clientAddress: [10.1.0.0/16] }] }
rules:${rules}`;
}

function explain(t: TestContext, args: string, yaml = config()) {
  const cwd = mkdtempSync(join(tmpdir(), 'sekisho-explain-'));
  t.after(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(join(cwd, 'sekisho.yaml'), yaml);
  const executable = join(ROOT, 'bin', 'sekisho.js');
  const command = [executable, 'explain', ...args.split(' ')];
  return spawnSync(process.execPath, command, { cwd, encoding: 'utf8' });
}

test('what is allowed exits 0: the decision, then each rule with why', (t) => {
  const { status, stdout } = explain(t, '--principal app --to a.example:443');
  assert.equal(
    stdout,
    `allow rule-allow by saas
  A rule allows it.
  app to a.example:443 (tunnel)
  ask saas@x.example
  by name alone: --address IP also judges what the name resolves to

=> allow saas    matches by a.example
   allow inside  it is for c.example
   deny  no-bad  it is for bad.b.example
   allow reads   it is for fn
`,
  );
  assert.equal(status, 0);
});

test('what is denied exits 1', (t) => {
  const { status, stdout } = explain(t, '--principal app --to bad.b.example:443');
  assert.match(stdout, /^deny rule-deny by no-bad\n/);
  assert.match(stdout, /\+ allow saas {4}matches by \.b\.example, and no-bad denies\n/);
  assert.equal(status, 1);
});

test('what a parent proxy resolves is judged by name alone, whatever address is given', (t) => {
  const away = `
  - { name: away, allow: [app], to: ["*"], via: corp }
  - { name: net, deny: ["*"], to: [192.0.2.0/24] }
exits: { corp: { parentProxy: { url: "http://proxy.example:3128", resolve: parent } } }
`;
  const ask = '--principal app --to a.example:443 --address 192.0.2.7';
  const { status, stdout } = explain(t, ask, config(away));
  assert.match(stdout, /^allow rule-allow by away\n/);
  assert.match(stdout, /^ {2}by name alone: the parent proxy proxy\.example:3128 resolves it$/m);
  assert.match(stdout, /^ {3}deny {2}net {3}it is for 192\.0\.2\.0\/24$/m);
  assert.equal(status, 0);
});

test('addresses are judged where they are given', (t) => {
  const ask = '--principal app --to c.example:443 --address';
  const inside = explain(t, `${ask} 10.0.5.7 --address 8.8.8.8`);
  assert.match(inside.stdout, /^allow rule-allow by inside\n(?:.*\n)* {2}dials 10\.0\.5\.7\n/);
  const outside = explain(t, `${ask} 8.8.8.8`);
  assert.match(outside.stdout, /^deny address-forbidden by inside\n/);
  assert.equal(outside.status, 1);
});

test('a request, and one JSON object', (t) => {
  const { stdout } = explain(t, '--principal fn --to a.example:80 --method GET --json');
  assert.equal(JSON.parse(stdout).decision.rule, 'reads');
  const post = explain(t, '--principal fn --to a.example:80 --method POST --json');
  assert.equal(JSON.parse(post.stdout).decision.reason, 'no-matching-rule');
});

test('of many rules, those that speak of neither are counted', (t) => {
  const more = Array.from(
    { length: 30 },
    (_, i) => `  - { name: r${i}, allow: [fn], to: [h${i}.example] }\n`,
  );
  const { stdout } = explain(
    t,
    '--principal app --to a.example:443',
    config(RULES + more.join('')),
  );
  assert.match(stdout, /\n {3}and 30 more rules that do not match\n$/);
  assert.match(stdout, /=> allow saas/);
});

test('a principal that nobody declared and a malformed destination are wrong usage', (t) => {
  const unknown = explain(t, '--principal ap --to a.example:443');
  assert.match(unknown.stderr, /no principal is called "ap"; there are app, fn, anonymous/);
  assert.equal(unknown.status, 2);
  const malformed = explain(t, '--principal app --to a.example:0');
  assert.match(malformed.stderr, /the port must be a number/);
  assert.equal(malformed.status, 2);
});
