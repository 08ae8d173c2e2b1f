import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadText } from '../../test/support/config.ts';
import { diagnosticText } from '../core/diagnostic.ts';
import { checkExpectations } from './expectations.ts';
import { compile } from './policy.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const POLICY = `
principals:
  app: { identify: [{ bearer: { token: { env: T } } }] }
  other: { identify: [{ bearer: { token: { env: U } } }] }
rules:
  - { name: api, allow: [app], to: [api.example] }
  - { name: read, allow: [app], to: [plain.example], methods: [GET], paths: [/a/**], ports: [80] }
  - { name: literal, allow: [app], to: [10.0.5.0/24] }
  - { name: no-paste, deny: ["*"], to: [paste.example] }
  - { name: shown, deny: [app], to: [shown.example], report: true }
  - { name: old, allow: [app], to: [old.example], expires: 2026-05-31 }
`;

function failures(...expectations: string[]): string[] {
  const { config } = loadText(
    `${POLICY}expect:\n${expectations.map((each) => `  - { ${each} }\n`).join('')}`,
  );
  return checkExpectations(compile(config), config.expect, NOW).map(diagnosticText);
}

test('expectations that the policy meets say nothing', () => {
  const met = failures(
    'principal: app, to: "api.example:443", decision: allow',
    'principal: app, to: "api.example:8443", decision: deny',
    'principal: other, to: "api.example:443", decision: deny',
    'principal: anonymous, to: "api.example:443", decision: deny',
    'principal: app, to: "plain.example:80", method: GET, path: /a/b, decision: allow',
    'principal: app, to: "plain.example:80", method: POST, path: /a/b, decision: deny',
    'principal: app, to: "plain.example:80", method: GET, path: /b, decision: deny',
    'principal: app, to: "10.0.5.7:443", decision: allow',
    'principal: app, to: "10.0.6.7:443", decision: deny',
    'principal: app, to: "paste.example:443", decision: deny',
    'principal: app, to: "shown.example:443", decision: deny',
    'principal: app, to: "old.example:443", decision: deny',
  );
  assert.deepEqual(met, []);
});

test('one that it does not meet is a fault with its place and the rule that decided', () => {
  assert.deepEqual(
    failures(
      'principal: app, to: "api.example:443", decision: deny',
      'principal: app, to: "paste.example:443", decision: allow',
      'principal: other, to: "api.example:443", decision: allow',
    ),
    [
      'sekisho.yaml:14:5: "api.example:443" is allowed for "app", by rule "api", where deny is expected; correct the rules or the expectation',
      'sekisho.yaml:15:5: "paste.example:443" is denied for "app", by rule "no-paste", where allow is expected; correct the rules or the expectation',
      'sekisho.yaml:16:5: "api.example:443" is denied for "other", by no-matching-rule, where allow is expected; correct the rules or the expectation',
    ],
  );
});
