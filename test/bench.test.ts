import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { needs } from './support/programs.ts';
import { ROOT } from './support/sources.ts';

const work = mkdtempSync(join(tmpdir(), 'sekisho-bench-test-'));
after(() => rmSync(work, { recursive: true, force: true }));

test('one row against one peer prints its ratio and writes its figures', {
  skip: needs('squid-openssl', 'nginx-light', 'build-essential'),
}, () => {
  const out = join(work, 'result.json');
  const row = ['plain-http', '--peer', 'squid', '--quick', '--out', out];
  const options = { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' } as const;
  const printed = execFileSync(process.execPath, [join('bench', 'run.ts'), ...row], options);
  assert.match(printed, /^\| squid +\|.* [\d.]+ \([\d.]+-[\d.]+\) \|$/m);
  assert.match(printed, /^- (reached|MISSED): requests per CPU-second, against squid: /m);
  const { versions, rows } = JSON.parse(readFileSync(out, 'utf8'));
  assert.deepEqual(Object.keys(versions), ['sekisho', 'squid']);
  const [{ contestants }] = rows;
  for (const { name, figures } of contestants) {
    assert.equal(figures.failed.max, 0, name);
    assert.ok(figures.rate.min > 0, name);
  }
});
