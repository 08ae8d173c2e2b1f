import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
