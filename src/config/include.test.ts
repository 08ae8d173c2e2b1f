import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultsOf, loadFiles } from '../../test/support/config.ts';
import { load } from './load.ts';

const MAIN = 'version: 1\ninclude: ["teams/*.yaml"]\n';
const principal = (name: string) =>
  `principals: { ${name}: { identify: [{ bearer: { token: { file: ${name}.key } } }] } }\n`;
const rule = (name: string, caller: string) =>
  `rules: [{ name: ${name}, allow: [${caller}], to: [${name}.example] }]\n`;

test('maps are joined and lists put one behind the other, each place in its own file', () => {
  const { config } = loadFiles({
    'sekisho.yaml': `${MAIN}gateway: { name: g }\n${principal('a')}${rule('ra', 'a')}`,
    'teams/b.yaml': `# b\n${principal('b')}${rule('rb', 'b')}`,
    'teams/c.yaml': `gateway: { contact: c }\n${rule('rc', 'b')}`,
  });
  assert.deepEqual(
    config.principals.map(({ name, at }) => [name, at.file, at.line]),
    [
      ['a', 'sekisho.yaml', 4],
      ['b', 'teams/b.yaml', 2],
    ],
  );
  assert.deepEqual(
    config.rules.map(({ name, at }) => [name, at.file, at.line]),
    [
      ['ra', 'sekisho.yaml', 5],
      ['rb', 'teams/b.yaml', 3],
      ['rc', 'teams/c.yaml', 2],
    ],
  );
  assert.deepEqual([config.gateway.name, config.gateway.contact], ['g', 'c']);
});

test('paths are relative to the file that names them', () => {
  const { config } = loadFiles({
    'sekisho.yaml': `${MAIN}${principal('a')}`,
    'teams/b.yaml': `${principal('b')}sets: { s: { hosts: { file: lists/s } } }`,
    'teams/lists/s': 'a.example',
  });
  const paths = config.principals.map(({ identify }) => identify[0]?.bearer?.token);
  assert.deepEqual(
    paths.map((ref) => ref?.from === 'file' && ref.path),
    [join(process.cwd(), 'a.key'), join(process.cwd(), 'teams', 'b.key')],
  );
  assert.equal(config.sets.get('s')?.entries.length, 1);
});

test('a name that two files define is a fault that tells both places', () => {
  const found = faultsOf({
    'sekisho.yaml': `${MAIN}${principal('a')}enforcement: report\ngateway: { name: x }\n${rule('r', 'a')}`,
    'teams/b.yaml': `${principal('a')}enforcement: report\ngateway: { name: x }\n${rule('r', 'a')}`,
  });
  assert.deepEqual(found, [
    'teams/b.yaml:1:15: "principals.a" is also at sekisho.yaml:3:15; keep one of the two',
    'teams/b.yaml:2:1: "enforcement" is also at sekisho.yaml:4:1; keep one of the two',
    'teams/b.yaml:3:12: "gateway.name" is also at sekisho.yaml:5:12; keep one of the two',
    'teams/b.yaml:4:17: the rule name "r" is also at sekisho.yaml:6:17; give each rule a name of its own',
  ]);
});

test('a pattern may match nothing, a plain path may not', () => {
  assert.deepEqual(faultsOf({ 'sekisho.yaml': MAIN }), []);
  assert.deepEqual(faultsOf({ 'sekisho.yaml': 'version: 1\ninclude: [teams/none.yaml]\n' }), [
    'sekisho.yaml:2:11: "teams/none.yaml" does not exist; create it, or correct the path',
  ]);
});

test('faults of all files are told, without calling undefined what an unreadable one may define', () => {
  const found = faultsOf({
    'sekisho.yaml': `${MAIN}rules: [{ name: r, allow: [b, g], to: [s], via: e, bad: 1 }]\n`,
    'teams/a.yaml': 'owner: [x]\nversion: 2\ninclude: [b]\n',
    'teams/b.yaml': 'principals: { b: { identify: [\n',
  });
  assert.deepEqual(found, [
    'sekisho.yaml:3:52: the key "bad" is unknown; known here: name, owner, allow, deny, except, to, ports, methods, paths, expires, addresses, tls, via, report, with, intercept, users, databases',
    'teams/a.yaml:1:8: "owner" must be text, not a list; write text',
    'teams/a.yaml:2:10: this is not a version that can be read; write version: 1',
    'teams/a.yaml:3:1: an included file cannot include others; include them in the main file',
    'teams/b.yaml:2:1: the indentation does not fit the lines above; align the keys of one map, and close every bracket and brace',
  ]);
});

test('files are found on disk in one order, hidden ones and the main file left out', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-include-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'teams', '..data'), { recursive: true });
  const write = (path: string, text: string) => writeFileSync(join(dir, path), text);
  write('sekisho.yaml', 'version: 1\ninclude: ["*.yaml", "teams/**/*.yaml", teams/b.yaml]\n');
  write('teams/b.yaml', rule('b', 'anonymous'));
  write('teams/a.yaml', rule('a', 'anonymous'));
  write('teams/.#a.yaml', 'not yaml: [');
  write('teams/..data/a.yaml', rule('a', 'anonymous'));
  const { config, files } = load(join(dir, 'sekisho.yaml'), { env: {} });
  assert.deepEqual(
    config.rules.map(({ name }) => name),
    ['a', 'b'],
  );
  assert.deepEqual(
    [...files.keys()],
    ['sekisho.yaml', 'teams/a.yaml', 'teams/b.yaml'].map((path) => join(dir, path)),
  );
});

const TEAM = `owner: team-a\n${principal('a-app')}`;

test('what a file with an owner defines belongs to it', () => {
  const { config } = loadFiles({
    'sekisho.yaml': `${MAIN}${principal('main-app')}`,
    'teams/a.yaml': `${TEAM}groups: { a-all: [a-app, "a-*"] }\n${rule('r', 'a-all')}`,
    'teams/a2.yaml': `owner: team-a\nrules: [{ name: r2, deny: [a-all], except: [a-app], to: ["*"] }]\n`,
  });
  assert.deepEqual(
    config.principals.map(({ name, owner }) => [name, owner]),
    [
      ['main-app', undefined],
      ['a-app', 'team-a'],
    ],
  );
  assert.deepEqual(
    config.rules.map(({ owner }) => owner),
    ['team-a', 'team-a'],
  );
});

const alien = (name: string, owner = 'team-a') =>
  `"${name}" does not belong to "${owner}", the owner of this file; name principals and groups that files of this owner define`;

test('a file with an owner cannot touch what is not its own', () => {
  const found = faultsOf({
    'sekisho.yaml': `${MAIN}${principal('main-app')}groups: { everyone: [main-app] }\n`,
    'teams/a.yaml': `${TEAM}groups: { a-all: [main-app, everyone, "*-app"] }
rules:
  - { name: r1, allow: ["*", anonymous, main-app, everyone], to: [a.example] }
  - { name: r2, deny: ["*", a-app], except: [main-app], to: [a.example], owner: main }
  - { name: r3, allow: [b-app], to: [a.example] }
exits: { e: { localAddress: 10.0.0.1 } }
enforcement: report
`,
    'teams/b.yaml': `owner: team-b\n${principal('b-app')}${rule('r4', 'a-app')}`,
  });
  assert.deepEqual(found, [
    `teams/a.yaml:3:19: ${alien('main-app')}`,
    `teams/a.yaml:3:29: ${alien('everyone')}`,
    `teams/a.yaml:3:39: ${alien('main-app')}`,
    `teams/a.yaml:5:25: ${alien('*')}`,
    `teams/a.yaml:5:30: ${alien('anonymous')}`,
    `teams/a.yaml:5:41: ${alien('main-app')}`,
    `teams/a.yaml:5:51: ${alien('everyone')}`,
    `teams/a.yaml:6:24: ${alien('*')}`,
    `teams/a.yaml:6:46: ${alien('main-app')}`,
    'teams/a.yaml:6:81: what this file defines belongs to "team-a", its owner; remove this owner',
    `teams/a.yaml:7:25: ${alien('b-app')}`,
    'teams/a.yaml:8:1: a file with an owner cannot hold "exits"; move it to the main file',
    'teams/a.yaml:9:1: a file with an owner cannot hold "enforcement"; move it to the main file',
    `teams/b.yaml:3:29: ${alien('a-app', 'team-b')}`,
  ]);
});

test('a file with an owner cannot name its principals into a group of others', () => {
  const main = `${MAIN}${principal('fn-main')}groups: { functions: ["fn-*"] }\n`;
  const team = `owner: team-a\n${principal('fn-team')}`;
  assert.deepEqual(faultsOf({ 'sekisho.yaml': main, 'teams/a.yaml': team }), [
    'teams/a.yaml:2:15: "fn-team" of "team-a" would join the group "functions" by its glob "fn-*"; give it another name, or have the group name it without a glob',
  ]);
});
