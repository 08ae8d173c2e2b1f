import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { publishedSet } from '../../test/support/policy.ts';
import { ROOT } from '../../test/support/sources.ts';
import { finish } from '../core/work.ts';
import type { Config } from './config.ts';
import { credentialRefs } from './credential-refs.ts';
import { load } from './load.ts';
import { packing, unpacking } from './portable.ts';

/** As another process gets it. */
const sent = (config: Config) => finish(unpacking(finish(packing(config))));

const EVERYTHING = `
version: 1
gateway: { name: tokyo-1, resolvers: ["10.0.0.2:53"] }
networks: { owned: [10.0.0.0/8, "2001:db8::/32"] }
listeners: { egress: { type: forward-proxy, bind: "[::1]:3128", from: [10.0.0.0/8] } }
principals:
  a: { identify: [{ header: { name: X-Id, value: { env: ID } }, clientAddress: [10.0.0.0/16] }] }
groups: { all: [a] }
sets:
  saas: { hosts: [api.example.com, .microsoft.com] }
  office: { addresses: [198.51.100.0/24] }
  ec2: { ranges: { provider: aws, service: EC2, family: ipv4, maxAge: 2d, tooOld: close } }
rules:
  - { name: saas, allow: [all], to: [saas, "*.example.org", bücher.example], ports: ["8000-8999"], via: fixed, expires: 2027-03-31 }
  - { name: inside, allow: [a], to: [billing.internal], addresses: [10.0.5.0/24, 10.0.6.7, ec2] }
  - { name: no-test-net, deny: ["*"], to: [203.0.113.0/24], paths: [/x/**] }
exits:
  fixed: { localAddress: "2001:db8::7", public: [203.0.113.10] }
  corp: { parentProxy: { url: "http://proxy.corp.example:3128", credential: corp, resolve: parent } }
credentials: { corp: { for: proxy.corp.example, basic: { username: gw, password: { literal: sesame } } } }
expect: [{ principal: a, to: "pastebin.com:443", decision: deny }]
`;

test('a configuration is the same after it was sent to another process', () => {
  const readFile = () => Buffer.from(EVERYTHING);
  const { config } = load('sekisho.yaml', { readFile, env: {} });
  const arrived = sent(config);
  assert.deepStrictEqual(arrived, config);
  const [password] = arrived.credentials.flatMap(({ kind }) => credentialRefs(kind));
  assert.equal(password?.from === 'literal' && password.value, 'sesame');
  assert.doesNotMatch(JSON.stringify(arrived), /sesame/);
});

test('what a set holds of a published list, and how that stands, arrives', () => {
  const { config } = load('sekisho.yaml', { readFile: () => Buffer.from(EVERYTHING), env: {} });
  const held = publishedSet(['13.112.0.0/14', '2406:da14::/36'], true);
  const filled = { ...config, sets: new Map([...config.sets, ['ec2', held]]) };
  assert.deepStrictEqual(sent(filled), filled);
});

test('the example configuration is, too', () => {
  const path = join(ROOT, 'examples/quickstart/sekisho.yaml');
  const { config } = load(path, { readFile: (file) => readFileSync(file), env: {} });
  assert.deepStrictEqual(sent(config), config);
});
