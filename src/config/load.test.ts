import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { createCertificates } from '../../test/support/certificates.ts';
import { faultsOf, loadFiles, loadText } from '../../test/support/config.ts';
import { Hostname } from '../core/hostname.ts';
import { Cidr, Ip } from '../core/ip.ts';
import type { AllowRule, DenyRule } from './config.ts';
import { secretRefs } from './secret-refs.ts';

const FULL = `version: 1
gateway:
  name: tokyo-1
  contact: network-team@example.com
  workers: 1
  dataDir: ./state
  health: 0.0.0.0:9091
  drain: { notice: 500ms, limit: 1m }
  resolvers: ["10.0.0.2:5353", "[2001:4860:4860::8888]:53", 10.0.0.3]
networks:
  owned: [10.0.0.0/8, 192.168.0.0/16]
admin:
  bind: 127.0.0.1:9999
  token: { env: SEKISHO_ADMIN_TOKEN }
listeners:
  egress:
    type: forward-proxy
    bind: ["127.0.0.1:3128", "[::]:3128"]
    from: [10.0.0.0/8]
    proxyProtocol: { from: [10.0.9.0/28] }
    timeouts: { head: 1s, connect: 2s, idle: 1h }
    limits: { connections: 10, perClient: 5, head: 1MiB }
principals:
  athena-connector:
    owner: data-platform@example.com
    identify:
      - header: { name: X-Lambda-Test, value: [{ env: NEW }, { file: keys/old }] }
        clientAddress: [10.1.0.0/16, office]
  fn-a:
    report: true
    identify:
      - basic: { username: legacy, password: { literal: "pw" } }
      - bearer: { token: { env: TOKEN } }
groups:
  functions: ["fn-*", athena-connector]
  all: [functions]
sets:
  saas: { hosts: { file: lists/saas } }
  office: { addresses: [198.51.100.0/24] }
rules:
  - name: athena-saas
    allow: [all, "*", anonymous]
    to: [saas, .microsoft.com, "*.example.com", API.GitHub.com, 10.0.0.0/8, "2001:db8::1", localhost., bücher.example, "*"]
    ports: [443, "8000-8999"]
    methods: [GET]
    paths: [/repos/acme/**]
    addresses: [10.0.5.0/24, office]
    tls: off
    via: fixed-a
    owner: someone@example.com
    expires: 2027-03-31
  - name: no-paste
    deny: ["*"]
    except: [athena-connector]
    to: [pastebin.com]
    report: true
enforcement: report
expect:
  - { principal: fn-a, to: "api.github.com:443", method: GET, path: /repos/acme/x, decision: allow }
  - { principal: anonymous, to: "pastebin.com:443", decision: deny }
exits:
  fixed-a: { localAddress: { env: EXIT_A }, public: [203.0.113.10] }
audit: { durability: fsync, onFailure: allow, keep: 30d }
`;
const FILES = {
  'sekisho.yaml': FULL,
  'lists/saas': '# ours\n\n  a.example.com # one\r\n.b.example.com\n10.9.0.1\n',
};
const full = () => loadFiles(FILES, { EXIT_A: '10.0.0.9' });

test('the settings of the gateway come as values, with paths from the folder of the file', () => {
  const { gateway, networks, admin, audit, enforcement } = full().config;
  assert.deepEqual(gateway, {
    name: 'tokyo-1',
    contact: 'network-team@example.com',
    workers: 1,
    dataDir: resolve('state'),
    health: { host: '0.0.0.0', port: 9091 },
    drain: { noticeMs: 500, limitMs: 60_000 },
    log: 'info',
    onReload: 'close',
    resolvers: [
      { ip: Ip.parse('10.0.0.2'), port: 5353 },
      { ip: Ip.parse('2001:4860:4860::8888'), port: 53 },
      { ip: Ip.parse('10.0.0.3'), port: 53 },
    ],
  });
  assert.deepEqual(networks.owned.map(String), ['10.0.0.0/8', '192.168.0.0/16']);
  assert.deepEqual(admin, {
    bind: { host: '127.0.0.1', port: 9999 },
    token: {
      from: 'env',
      variable: 'SEKISHO_ADMIN_TOKEN',
      at: { file: 'sekisho.yaml', line: 14, column: 10 },
    },
  });
  assert.deepEqual(audit, {
    durability: 'fsync',
    onFailure: 'allow',
    keepMs: 30 * 86_400_000,
    also: [],
    checkpoint: undefined,
  });
  assert.equal(enforcement, 'report');
});

test('a listener comes with binds, networks, milliseconds and bytes', () => {
  assert.deepEqual(full().config.listeners, [
    {
      name: 'egress',
      type: 'forward-proxy',
      bind: [
        { host: '127.0.0.1', port: 3128 },
        { host: '::', port: 3128 },
      ],
      from: [Cidr.parse('10.0.0.0/8')],
      proxyProtocol: { from: [Cidr.parse('10.0.9.0/28')] },
      tls: undefined,
      timeouts: { headMs: 1000, connectMs: 2000, idleMs: 3_600_000 },
      limits: { connections: 10, perClient: 5, headBytes: 1024 ** 2 },
      at: { file: 'sekisho.yaml', line: 16, column: 3 },
    },
  ]);
});

test('what is left out has its documented default', () => {
  const { config } = loadText('listeners: { a: { type: forward-proxy, bind: "127.0.0.1:0" } }');
  assert.deepEqual(config.gateway, {
    name: 'host-1',
    contact: undefined,
    workers: 'auto',
    dataDir: resolve('var'),
    health: undefined,
    drain: { noticeMs: 5000, limitMs: 30_000 },
    log: 'info',
    onReload: 'close',
    resolvers: [],
  });
  assert.deepEqual(config.admin, { bind: { host: '127.0.0.1', port: 9090 }, token: undefined });
  const [listener] = config.listeners;
  assert.deepEqual(listener?.timeouts, { headMs: 10_000, connectMs: 10_000, idleMs: 300_000 });
  assert.deepEqual(listener?.limits, { connections: 20_000, perClient: 10_000, headBytes: 65_536 });
  assert.deepEqual([listener?.from, listener?.proxyProtocol], [undefined, undefined]);
  assert.deepEqual(config.audit, {
    durability: 'write',
    onFailure: 'deny',
    keepMs: 400 * 86_400_000,
    also: [],
    checkpoint: undefined,
  });
  assert.equal(config.enforcement, 'enforce');
  assert.deepEqual(
    [config.rules, config.principals, config.exits, config.expect],
    [[], [], [], []],
  );
});

test('a principal comes with its alternatives, header names in lower case, and sets as their networks', () => {
  const [athena, fn] = full().config.principals;
  assert.equal(athena?.owner, 'data-platform@example.com');
  assert.equal(athena?.report, false);
  assert.deepEqual(athena?.identify, [
    {
      header: {
        name: 'x-lambda-test',
        values: [
          { from: 'env', variable: 'NEW', at: { file: 'sekisho.yaml', line: 27, column: 48 } },
          {
            from: 'file',
            path: resolve('keys/old'),
            at: { file: 'sekisho.yaml', line: 27, column: 62 },
          },
        ],
      },
      clientAddress: [Cidr.parse('10.1.0.0/16'), Cidr.parse('198.51.100.0/24')],
      at: { file: 'sekisho.yaml', line: 27, column: 9 },
    },
  ]);
  assert.equal(fn?.report, true);
  assert.equal(fn?.identify[0]?.basic?.username, 'legacy');
  assert.equal(fn?.identify[1]?.bearer?.token.from, 'env');
});

test('a literal secret is there to use and not to print', () => {
  const password = full().config.principals[1]?.identify[0]?.basic?.password;
  assert.equal(password?.from === 'literal' && password.value, 'pw');
  assert.doesNotMatch(JSON.stringify(password), /pw/);
});

test('rules come with patterns, ranges, and the last millisecond of their last day', () => {
  const [allow, deny] = full().config.rules as [AllowRule, DenyRule];
  assert.deepEqual(allow.to, [
    { kind: 'set', set: 'saas' },
    { kind: 'suffix', suffix: Hostname.parse('microsoft.com'), apex: true },
    { kind: 'suffix', suffix: Hostname.parse('example.com'), apex: false },
    { kind: 'host', host: Hostname.parse('api.github.com') },
    { kind: 'network', cidr: Cidr.parse('10.0.0.0/8') },
    { kind: 'network', cidr: Cidr.parse('2001:db8::1') },
    { kind: 'host', host: Hostname.parse('localhost') },
    { kind: 'host', host: Hostname.parse('xn--bcher-kva.example') },
    { kind: 'any' },
  ]);
  assert.deepEqual(allow.principals, ['all', '*', 'anonymous']);
  assert.deepEqual(allow.ports, [
    { first: 443, last: 443 },
    { first: 8000, last: 8999 },
  ]);
  assert.deepEqual([allow.methods, allow.paths], [['GET'], ['/repos/acme/**']]);
  assert.deepEqual(allow.addresses?.map(String), ['10.0.5.0/24', '198.51.100.0/24']);
  assert.deepEqual([allow.tls, allow.via, allow.owner], ['off', 'fixed-a', 'someone@example.com']);
  assert.equal(allow.expiresMs, Date.parse('2027-04-01T00:00:00Z') - 1);
  assert.deepEqual(
    [deny.effect, deny.principals, deny.except, deny.report],
    ['deny', ['*'], ['athena-connector'], true],
  );
  assert.deepEqual(deny.at, { file: 'sekisho.yaml', line: 52, column: 5 });
});

test('sets, groups, exits and expectations come resolved', () => {
  const { sets, groups, exits, expect } = full().config;
  assert.deepEqual(sets.get('saas')?.entries, [
    { kind: 'host', host: Hostname.parse('a.example.com') },
    { kind: 'suffix', suffix: Hostname.parse('b.example.com'), apex: true },
    { kind: 'network', cidr: Cidr.parse('10.9.0.1') },
  ]);
  assert.deepEqual(groups.get('functions'), ['fn-*', 'athena-connector']);
  assert.deepEqual(
    exits.map((exit) => exit.kind === 'local' && exit.localAddresses.map(String)),
    [['10.0.0.9']],
  );
  assert.deepEqual(exits[0]?.public.map(String), ['203.0.113.10']);
  assert.deepEqual(
    expect.map(({ principal, to, decision }) => [principal, to, decision]),
    [
      ['fn-a', 'api.github.com:443', 'allow'],
      ['anonymous', 'pastebin.com:443', 'deny'],
    ],
  );
});

test('every file that was read is kept as it was read', () => {
  assert.deepEqual(Object.fromEntries(full().files), FILES);
});

test('a large configuration loads in time that grows no faster than it does', () => {
  const cost = (size: number) => {
    const numbers = Array.from({ length: size }, (_, i) => i);
    const yaml = [
      'principals:',
      ...numbers.map((i) => `  p${i}: { identify: [{ bearer: { token: { env: T${i} } } }] }`),
      'rules:',
      ...numbers.map((i) => `  - { name: r${i}, allow: [p${i}], to: [h${i}.example.com] }`),
    ].join('\n');
    const { user } = process.cpuUsage();
    assert.equal(loadText(yaml).config.rules.length, size);
    return process.cpuUsage().user - user;
  };
  cost(500);
  // Quadratic work would show as a factor of 64.
  assert.ok(cost(8000) < 30 * cost(1000));
});

test('a parent proxy comes with its place, its CA and its credential', () => {
  const { ca } = createCertificates('proxy.example');
  const yaml = `
exits:
  plain: { parentProxy: { url: "http://10.0.0.3:3128/" } }
  secure:
    parentProxy: { url: "HTTPS://[2001:db8::3]:3129", tls: { ca: { file: ca.pem } }, credential: c, resolve: parent }
    public: [203.0.113.10]
credentials: { c: { for: "2001:db8::3", basic: { username: gw, password: { env: T } } } }
`;
  const files = { 'sekisho.yaml': `version: 1\n${yaml}`, 'ca.pem': ca };
  const loaded = loadFiles(files);
  const [plain, secure] = loaded.config.exits.map((exit) => exit.kind === 'parent' && exit.parent);
  assert.deepEqual(plain, {
    host: Ip.parse('10.0.0.3'),
    port: 3128,
    tls: undefined,
    credential: undefined,
    resolve: 'local',
  });
  assert.deepEqual(secure, {
    host: Ip.parse('2001:db8::3'),
    port: 3129,
    tls: { ca: String(ca) },
    credential: 'c',
    resolve: 'parent',
  });
  assert.deepEqual([...loaded.files.keys()], ['sekisho.yaml', 'ca.pem']);
  assert.deepEqual(
    secretRefs(loaded.config).map(({ from }) => from),
    ['env'],
  );
  assert.deepEqual(faultsOf({ ...files, 'ca.pem': 'no certificate' }), [
    'sekisho.yaml:6:74: "ca.pem" holds no certificate; name the CA certificate in PEM',
  ]);
});
