import assert from 'node:assert/strict';
import { test } from 'node:test';
import { warningsOf } from '../../test/support/config.ts';

const bearer = (name: string) => `${name}: { identify: [{ bearer: { token: { env: T } } }] }`;
const APP = `principals: { ${bearer('app')} }\n`;

function warns(yaml: string, ...warnings: string[]): void {
  assert.deepEqual(
    warningsOf(yaml),
    warnings.map((each) => `sekisho.yaml:${each}`),
  );
}

test('what nothing uses is told', () => {
  warns(
    `principals: { ${bearer('used')}, ${bearer('in-group')}, ${bearer('in-glob')}, ${bearer('idle')} }
groups: { outer: [inner], inner: [in-group, "*-glob"], alone: [idle] }
sets: { to: { hosts: [a.example] }, peers: { addresses: [10.0.0.1] }, spare: { hosts: [b.example] } }
exits: { way: { localAddress: 10.0.0.1 }, detour: { localAddress: 10.0.0.2 } }
listeners: { l: { type: forward-proxy, bind: "127.0.0.1:0", from: [peers] } }
rules:
  - { name: r, allow: [outer], to: [to], via: way }
  - { name: d, deny: ["*"], except: [used], to: [c.example] }
`,
    '2:193: nothing uses the principal "idle"; use it or remove it',
    '3:56: nothing uses the group "alone"; use it or remove it',
    '4:71: nothing uses the set "spare"; use it or remove it',
    '5:43: nothing uses the exit "detour"; use it or remove it',
  );
});

test('an allow for "*" uses every principal', () => {
  warns(`${APP}rules: [{ name: r, allow: ["*"], to: [a.example] }]`);
});

test('a secret in the file and an expired rule are told', () => {
  warns(
    `principals: { app: { identify: [{ bearer: { token: { literal: x } } }] } }
rules:
  - { name: old, allow: [app], to: [a.example], expires: 2026-05-31 }
  - { name: last-day, allow: [app], to: [b.example], expires: 2026-06-01 }`,
    '2:52: a secret stands in this file; keep it outside: { env: NAME } or { file: PATH }',
    '4:5: the rule "old" has expired, so it matches nothing; renew or remove it',
  );
});

const IN_CLEAR =
  '4:14: the listener "l" takes header, basic and bearer identity in clear from outside networks.owned; give it tls, limit it by from to owned networks, or bind it to a loopback address';
const listen = (more: string) =>
  `networks: { owned: [10.0.0.0/8] }
${APP}listeners: { l: { type: forward-proxy, ${more} } }
rules: [{ name: r, allow: [app], to: [a.example] }]`;

test('identity that crosses foreign networks in clear is told', () => {
  warns(listen('bind: "0.0.0.0:3128"'), IN_CLEAR);
  warns(listen('bind: "0.0.0.0:3128", from: [10.0.0.0/8, 192.168.0.0/16]'), IN_CLEAR);
  warns(listen('bind: ["127.0.0.1:3128", "10.0.0.1:3128"]'), IN_CLEAR);
});

test('identity that stays on owned networks or on this host is not', () => {
  warns(listen('bind: "0.0.0.0:3128", from: [10.1.0.0/16]'));
  warns(listen('bind: ["127.0.0.9:3128", "[::1]:3128"]'));
  warns(
    listen('bind: "0.0.0.0:3128"').replace(
      'bearer: { token: { env: T } }',
      'clientAddress: [10.0.0.1]',
    ),
  );
});

test('clients in a subnet that is trusted as a balancer are told', () => {
  warns(
    `principals: { app: { identify: [{ clientAddress: [10.0.0.0/16] }, { clientAddress: [10.1.0.0/16] }] } }
listeners:
  lb: { type: forward-proxy, bind: "127.0.0.1:0", from: [10.0.0.0/8], proxyProtocol: { from: [10.0.9.0/28] } }
  wide: { type: forward-proxy, bind: "127.0.0.1:0", from: [10.0.0.0/8] }
  same: { type: forward-proxy, bind: "127.0.0.1:0", from: [10.0.9.8/29] }
rules: [{ name: r, allow: [app], to: [a.example] }]`,
    '2:33: the principal "app" may come from 10.0.9.0/28, whose PROXY headers the listener "lb" believes; keep balancers in a subnet that holds no clients',
    '6:3: the listener "same" takes clients from 10.0.9.0/28, whose PROXY headers the listener "lb" believes; keep balancers in a subnet that holds no clients',
  );
});

test('public suffixes and shared hosting are told where a rule allows them', () => {
  warns(
    `${APP}sets: { s: { hosts: [.github.io, x.github.io] }, denied: { hosts: [.com] } }
rules:
  - { name: r, allow: [app], to: [s, .com, "*.co.uk", .s3.amazonaws.com, .example.com, github.io, .internal] }
  - { name: d, deny: [app], to: [denied, .net] }`,
    '3:9: in the set "s", ".github.io" is shared hosting, where every customer has a host; name the hosts that are meant',
    '5:38: ".com" is a public suffix, where everybody can have a host; name the hosts that are meant',
    '5:44: "*.co.uk" is a public suffix, where everybody can have a host; name the hosts that are meant',
    '5:55: ".s3.amazonaws.com" is shared hosting, where every customer has a host; name the hosts that are meant',
  );
});

const VIA = `rules: [{ name: r, allow: [app], to: [a.example], via: e }]\n`;
const mine = (receiver: string) =>
  `credentials: { c: { for: ${receiver}, basic: { username: u, password: { env: T } } } }\n`;

test('a credential that goes to its parent proxy in clear is told', () => {
  const clear = (host: string, url: string) =>
    `${APP}${VIA}${mine(host)}exits: { e: { parentProxy: { url: "${url}", credential: c } } }`;
  warns(
    clear('proxy.example', 'http://proxy.example:3128'),
    '5:10: the credential "c" goes to the parent proxy of "e" in clear; reach the parent by https://',
  );
  warns(clear('proxy.example', 'https://proxy.example:3129'));
  warns(clear('127.0.0.1', 'http://127.0.0.1:3128'));
  warns(clear('"::1"', 'http://[::1]:3128'));
});

test('a deny of addresses is told where a parent proxy resolves', () => {
  const denies = (resolve: string) =>
    `${APP}exits: { e: { parentProxy: { url: "http://proxy.example:3128", resolve: ${resolve} } } }
sets: { nets: { addresses: [192.0.2.0/24] } }
rules:
  - { name: r, allow: [app], to: [a.example], via: e }
  - { name: net, deny: ["*"], to: [198.51.100.0/24] }
  - { name: set, deny: ["*"], to: [nets] }
  - { name: names, deny: ["*"], to: [b.example] }`;
  const told = (name: string) =>
    `the deny "${name}" cannot see the addresses of names that the rule "r" leaves to a parent proxy; deny the names as well, or have the parent deny the networks`;
  warns(denies('parent'), `7:5: ${told('net')}`, `8:5: ${told('set')}`);
  warns(denies('local'));
});

test('a credential that nothing uses is told', () => {
  warns(
    `${APP}rules: [{ name: r, allow: [app], to: [a.example] }]\n${mine('a.example')}`,
    '4:16: nothing uses the credential "c"; use it or remove it',
  );
});

test('a set of addresses that anybody can rent says little of who or what is there', () => {
  warns(
    `sets:
  ec2: { ranges: { provider: aws, service: EC2, region: ap-northeast-1 } }
  hooks: { ranges: { provider: github, service: hooks } }
listeners: { l: { type: forward-proxy, bind: "127.0.0.1:0", from: [ec2], proxyProtocol: { from: [ec2] } } }
principals:
  alone: { identify: [{ clientAddress: [ec2] }] }
  both: { identify: [{ bearer: { token: { env: T } }, clientAddress: [ec2] }] }
  narrow: { identify: [{ clientAddress: [hooks] }] }
rules:
  - { name: r, allow: [alone, both, narrow], to: [ec2, hooks] }
  - { name: n, allow: [both], to: [a.example], addresses: [ec2] }
  - { name: d, deny: ["*"], to: [ec2] }
`,
    '5:14: the listener "l" believes the PROXY headers of whoever rents an address of "ec2"; name the networks of your own balancers',
    '7:23: the principal "alone" may come from ec2, whose PROXY headers the listener "l" believes; keep balancers in a subnet that holds no clients',
    '7:23: whoever rents an address of "ec2" is the principal "alone"; ask for a header, basic or bearer in the same entry',
    '8:22: the principal "both" may come from ec2, whose PROXY headers the listener "l" believes; keep balancers in a subnet that holds no clients',
    '11:5: the rule "r" allows whatever somebody runs on a rented address of "ec2"; name hosts under to, and the set under addresses',
  );
});
