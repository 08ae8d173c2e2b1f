import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from '../../test/support/sources.ts';

function policy(who: string, ports: string): string {
  return `version: 1
principals:
  p: { identify: [{ clientAddress: [10.0.0.0/16] }] }
  q: { identify: [{ clientAddress: [10.1.0.0/16] }] }
rules:
  - { name: r, allow: [${who}], to: [.a.example], ports: ${ports} }
`;
}

function diff(t: TestContext, before: string, after: string, ...options: string[]) {
  const cwd = mkdtempSync(join(tmpdir(), 'sekisho-diff-'));
  t.after(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(join(cwd, 'old.yaml'), before);
  writeFileSync(join(cwd, 'new.yaml'), after);
  const command = [join(ROOT, 'bin', 'sekisho.js'), 'diff', 'old.yaml', 'new.yaml', ...options];
  return spawnSync(process.execPath, command, { cwd, encoding: 'utf8' });
}

test('who gains and who loses, one line each, exit 1', (t) => {
  const { status, stdout } = diff(t, policy('p', '[443]'), policy('q', '[443, "8000-8080"]'));
  assert.equal(
    stdout,
    `- p may no longer reach .a.example:443 (rule r no longer lets it pass)
+ q may now reach .a.example:443 (rule r)
+ q may now reach .a.example:8000-8080 (rule r)
`,
  );
  assert.equal(status, 1);
});

test('the same policy prints nothing and exits 0', (t) => {
  const { status, stdout } = diff(t, policy('p, q', '[443]'), policy('q, p', '[443]'));
  assert.equal(stdout, '');
  assert.equal(status, 0);
});

test('one JSON object', (t) => {
  const { stdout } = diff(t, policy('p', '[443]'), policy('p, q', '[443]'), '--json');
  assert.deepEqual(JSON.parse(stdout), {
    differences: [
      { change: 'gains', principal: 'q', destination: '.a.example:443', because: 'rule r' },
    ],
  });
});
