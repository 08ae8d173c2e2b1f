import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsOf } from '../../test/support/config.ts';

const ALIAS =
  'an unquoted * begins a YAML alias, and aliases are refused; put quotes around the text: "*" or "*.example.com"';
const BRACKETS =
  'an unquoted [::] is a YAML list, not an address; put quotes around it: "[::]:3128"';

const TRAPS: readonly (readonly [yaml: string, ...faults: string[]])[] = [
  [
    '%YAML 1.1\n---\nversion: 1\n',
    '1:1: YAML directives are refused; remove the line that begins with %',
  ],
  [
    '%TAG ! tag:x\n---\nversion: 1\n',
    '1:1: YAML directives are refused; remove the line that begins with %',
  ],
  ['version: !!int 1\n', '1:10: YAML tags are refused; remove the tag; quotes make a value text'],
  ['version: &v 1\n', '1:10: YAML anchors are refused; write the value where it is needed'],
  [
    'version: 1\nsets: { s: { hosts: [*] } }\n',
    '2:22: a set cannot hold "*"; write "*" in the rule instead',
    `2:22: ${ALIAS}`,
  ],
  ['version: 1\nsets: { s: { hosts: [*.example.com] } }\n', `2:22: ${ALIAS}`],
  ['version: 1\nsets:\n  s:\n    hosts:\n      - *.example.com\n', `5:9: ${ALIAS}`],
  [
    'version: 1\ngateway:\n  <<: { name: x }\n',
    '3:3: YAML merge keys are refused; write the values where they are needed',
  ],
  ['version: 1\nversion: 1\n', '2:1: the key "version" is here twice; keep one of the two'],
  [
    'version: 1\ngateway: { name: a, name: b }\n',
    '2:21: the key "name" is here twice; keep one of the two',
  ],
  ['version: 1\ngateway: { health: [::]:80 }\n', `2:24: ${BRACKETS}`],
  ['version: 1\ngateway:\n  health: [::]:80\n', `3:15: ${BRACKETS}`],
  ['version: 1\nnetworks: { owned: [::] }\n', `2:21: ${BRACKETS}`],
  [
    'version: 1\nexits: { e: { localAddress: {env:X} } }\n',
    '2:29: the environment has no "X"; set it to an address of this host',
    '2:30: "{env:…}" without a space after the colon is one key without a value; write { env: … }',
  ],
  [
    'version: 1\ngateway:\n\tname: x\n',
    '3:1: a tab stands where YAML wants spaces; indent with spaces',
  ],
  [
    'version: 1\n---\nversion: 1\n',
    '2:1: a second YAML document begins here; keep one document per file',
  ],
  [
    'version: 1\nsets: { 012: { hosts: [a.example] } }\n',
    '2:9: "012" is not a name; use letters, digits, "-" and "_", and begin with a letter',
    '2:9: the key 012 is not text; put it in quotes: "012"',
  ],
  [
    'version: 1\nprincipals: { __proto__: {} }\n',
    '2:15: "__proto__" cannot be a key; choose another name',
  ],
  [
    'version: 1\ngateway: { name: No }\n',
    '2:18: an unquoted No is text to some YAML readers and a boolean to others; write true or false, or "No" in quotes where text is meant',
  ],
  [
    'version: 1\ngateway: { name: "x }\n',
    '3:1: a quote, colon or bracket is missing here; add it',
    '3:1: the indentation does not fit the lines above; align the keys of one map, and close every bracket and brace',
  ],
  [
    'version: 1\ngateway:\n  name: a: b\n',
    '3:9: a second ": " on one line makes this no plain value; put quotes around the text, or the inner map on lines of its own',
  ],
  [
    'version: 1\ngateway:\n  name: @x\n',
    '3:9: plain text cannot begin with this character; put quotes around the text',
  ],
];

for (const [yaml, ...faults] of TRAPS) {
  test(`a trap of YAML has a hint of its own: ${JSON.stringify(yaml)}`, () => {
    assert.deepEqual(
      faultsOf({ 'sekisho.yaml': yaml }),
      faults.map((fault) => `sekisho.yaml:${fault}`),
    );
  });
}

test('what only looks like a trap is taken', () => {
  const yaml = `---
version: 1
gateway: { name: "no", contact: "*" }
sets: { s: { hosts: [off.example, "*.example.com"] } } # {env:X} &a *b !c
networks: { owned: [::1, "::/0"] }
`;
  assert.deepEqual(faultsOf({ 'sekisho.yaml': yaml }), []);
});

test('no message shows the text of a line that may hold a secret', () => {
  for (const value of [
    '{literal:hunter2}',
    '{ literal: "hunter2',
    '{ literal: hunter2: x }',
    '{ literal: @hunter2 }',
    'hunter2',
    '*hunter2',
    '!hunter2 x',
    '&hunter2 x',
  ]) {
    const found = faultsOf({ 'sekisho.yaml': `version: 1\nadmin:\n  token: ${value}\n` });
    assert.notDeepEqual(found, [], value);
    assert.doesNotMatch(found.join('\n'), /hunter2/, value);
  }
});
