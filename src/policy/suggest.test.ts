import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Destination, parseAuthority, type Scheme } from '../core/destination.ts';
import { Ip } from '../core/ip.ts';
import { type Observation, suggestPolicy } from './suggest.ts';

function saw(scheme: Scheme, authority: string, address?: string): Observation {
  const { host, port } = parseAuthority(authority);
  const destination: Destination = { scheme, host, port: port ?? (scheme === 'http' ? 80 : 443) };
  return { destination, address: address === undefined ? undefined : Ip.parse(address) };
}

const rulesOf = (text: string) => text.slice(text.indexOf('rules:'));

test('hosts on default ports share a rule without ports', () => {
  const text = suggestPolicy('job', [
    saw('tunnel', 'b.com'),
    saw('http', 'a.com'),
    saw('tunnel', 'b.com'),
  ]);
  assert.equal(
    rulesOf(text),
    'rules:\n  - name: job-1\n    allow: [job]\n    to:\n      - a.com\n      - b.com\n',
  );
});

test('other ports and inside addresses are named', () => {
  const text = suggestPolicy('job', [
    saw('tunnel', 'db.internal:8443', '10.0.0.2'),
    saw('tunnel', 'db.internal:8443', '10.0.0.1'),
    saw('http', 'localhost:80', '::1'),
  ]);
  assert.match(
    text,
    /- db\.internal\n {4}ports: \[8443\]\n {4}addresses: \[10\.0\.0\.1, 10\.0\.0\.2\]/,
  );
  assert.match(text, /- localhost\.\n {4}addresses: \["::1"\]/);
});

test('an address as destination is its own permission', () => {
  const text = suggestPolicy('job', [
    saw('tunnel', '[2606:4700::1]'),
    saw('tunnel', '10.0.0.1', '10.0.0.1'),
  ]);
  assert.match(text, /- "2606:4700::1"/);
  assert.doesNotMatch(text, /addresses/);
});

test('the variable that the policy wants is told where it begins', () => {
  const [comment] = suggestPolicy('job', []).split('\nversion: 1\n');
  assert.match(comment ?? '', /^# To check or run it, set WORKLOAD_PASSWORD in the environment/m);
});

test('nothing seen, nothing allowed', () => {
  assert.match(suggestPolicy('job', []), /rules: \[\]\n$/);
});

test('the order of what was seen does not matter', () => {
  const seen = [
    saw('tunnel', 'a.com'),
    saw('tunnel', 'b.com:8443'),
    saw('http', 'c.com'),
    saw('tunnel', 'd.com:22'),
  ];
  assert.equal(suggestPolicy('job', seen), suggestPolicy('job', seen.toReversed()));
});
