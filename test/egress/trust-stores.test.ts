import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { needs } from '../support/programs.ts';
import { LIGHT } from '../support/store-clients.ts';
import { askTrusting, mayMount, systemStore, type Trusted } from '../support/trust-stores.ts';

const skip =
  mayMount() ||
  needs('curl', 'git', 'wget', 'python3-requests', 'python3-botocore', 'ca-certificates');

let trusted: Trusted;
let store: string;
const ends: (() => unknown)[] = [];

before(async () => {
  if (skip !== false) return;
  store = systemStore();
  trusted = await askTrusting({ after: (end) => void ends.push(end as () => unknown) }, LIGHT);
});

after(async () => {
  for (const end of ends.reverse()) await end();
});

for (const { name, ecosystem, prints } of LIGHT) {
  test(`${name}: what is printed for ${ecosystem} makes it trust the CA`, { skip }, () => {
    const { before, told, errors } = trusted;
    assert.doesNotMatch(before[name] ?? '', prints);
    assert.match(told[name] ?? '', prints, errors);
  });
}

test("the system's own store is as it was", { skip }, () => {
  assert.equal(systemStore(), store);
  assert.ok(!existsSync('/usr/local/share/ca-certificates/sekisho.crt'));
});
