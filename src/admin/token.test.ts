import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../core/secret.ts';
import { carriesToken, keepToken, readToken, tokenFile } from './token.ts';

function makeDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-token-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'var');
}

test('the token is made once, for this user only, and kept', async (t) => {
  const dir = makeDir(t);
  const tokens = await Promise.all([keepToken(dir), keepToken(dir)]);
  const [first] = tokens.map((token) => token.reveal());
  assert.match(first as string, /^[A-Za-z0-9_-]{43}$/);
  assert.deepEqual(new Set(tokens.map((token) => token.reveal())).size, 1);
  assert.equal((await keepToken(dir)).reveal(), first);
  assert.equal(statSync(tokenFile(dir)).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dir), ['admin.token']);
});

test('a token that others may read, or an empty one, is not used', async (t) => {
  const dir = makeDir(t);
  await keepToken(dir);
  chmodSync(tokenFile(dir), 0o644);
  await assert.rejects(keepToken(dir), /can be read by other users; .*remove it/);
  chmodSync(tokenFile(dir), 0o600);
  writeFileSync(tokenFile(dir), '\n');
  await assert.rejects(keepToken(dir), { code: 'admin-token-invalid', message: /is empty/ });
});

/** A file system that fails as a real one would, from here to the end of the test. */
function failing(t: TestContext, name: 'link' | 'writeFile', code: string) {
  const original = files[name] as (path: string, ...rest: unknown[]) => Promise<unknown>;
  const failed = t.mock.method(files, name, async (path: string, ...rest: unknown[]) => {
    // A full disk still has room for the name of the file.
    if (name === 'writeFile') await original(path, '', rest[1]);
    throw Object.assign(new Error(`${code}: told by the test`), { code });
  });
  syncBuiltinESMExports();
  t.after(() => {
    failed.mock.restore();
    syncBuiltinESMExports();
  });
  return failed.mock;
}

test('on a full disk the start says what to do, and leaves nothing behind', async (t) => {
  const dir = makeDir(t);
  failing(t, 'writeFile', 'ENOSPC');
  await assert.rejects(keepToken(dir), {
    code: 'admin-token-unwritable',
    message:
      /admin\.token cannot be written: ENOSPC.*; make room on its disk, or set gateway\.dataDir/,
  });
  assert.deepEqual(readdirSync(dir), []);
});

test('a token that is there needs no room for another', async (t) => {
  const dir = makeDir(t);
  const token = await keepToken(dir);
  failing(t, 'writeFile', 'ENOSPC');
  assert.equal((await keepToken(dir)).reveal(), token.reveal());
});

for (const code of ['EPERM', 'ENOTSUP', 'ENOSYS']) {
  test(`a file system without hard links (${code}) keeps one token as well`, async (t) => {
    const dir = makeDir(t);
    const link = failing(t, 'link', code);
    const token = await keepToken(dir);
    assert.equal((await keepToken(dir)).reveal(), token.reveal());
    assert.equal(link.callCount(), 1);
    assert.equal(statSync(tokenFile(dir)).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(dir), ['admin.token']);
  });
}

test('a data directory that cannot be is told with its remedy', async (t) => {
  const dir = makeDir(t);
  writeFileSync(dir, 'a file');
  await assert.rejects(keepToken(dir), {
    code: 'admin-token-unwritable',
    message: /EEXIST.*; make its folder one that this user may write/,
  });
});

test('a missing token names its file', async (t) => {
  await assert.rejects(readToken(makeDir(t)), /var\/admin\.token cannot be read: ENOENT/);
});

test('only the whole token opens', () => {
  const token = new Secret('token', 'abc-DEF_123');
  const cases: [string | undefined, boolean][] = [
    ['Bearer abc-DEF_123', true],
    ['bearer abc-DEF_123', true],
    ['Bearer abc-DEF_12', false],
    ['Bearer abc-DEF_1234', false],
    ['Bearer ABC-def_123', false],
    ['Bearer ', false],
    ['abc-DEF_123', false],
    ['Basic abc-DEF_123', false],
    ['', false],
    [undefined, false],
  ];
  for (const [header, opens] of cases) assert.equal(carriesToken(header, token), opens, header);
});
