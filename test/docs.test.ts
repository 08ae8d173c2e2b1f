import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { REASONS, TROUBLES } from '../src/core/reasons.ts';
import { PrimaryMetrics } from '../src/metrics/primary.ts';
import { WorkerMetrics } from '../src/metrics/worker.ts';
import { ROOT } from './support/sources.ts';

const pages = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], {
  cwd: ROOT,
  exclude: ['**/node_modules/**'],
}).sort();

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** Without code, where brackets and hashes mean something else. */
function prose(page: string): string {
  return read(page)
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, '');
}

/** The anchors that a page's headings get. */
function anchorsOf(page: string): string[] {
  const headings = read(page)
    .replace(/^```[\s\S]*?^```/gm, '')
    .matchAll(/^#{1,6} (.+)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The sections of docs/errors.md that begin with a status, by their heading. */
function documentedStatuses(): Map<string, string> {
  const sections = read('docs/errors.md').matchAll(/^## ([a-z-]+)\n\nStatus: (.+)$/gm);
  return new Map([...sections].map(([, code = '', status = '']) => [code, status]));
}

test('every code has its section in docs/errors.md, with its status, and no section is without code', () => {
  const expected = Object.entries({ ...REASONS, ...TROUBLES }).map(([code, { status }]) => [
    code,
    status === 'after-200' ? '200, then the tunnel ends' : String(status),
  ]);
  assert.deepEqual(Object.fromEntries(documentedStatuses()), Object.fromEntries(expected));
});

test('every section on a code tells developer and operator what to do', () => {
  const sections = read('docs/errors.md').split(/^#{1,2} /m);
  for (const code of documentedStatuses().keys()) {
    const section = sections.find((text) => text.startsWith(`${code}\n`)) ?? '';
    assert.match(section, /^- \*\*Developer:\*\* /m, code);
    assert.match(section, /^- \*\*Operator:\*\* /m, code);
  }
});

test('docs/dependencies.md gives the reason of every dependency, and of no other', () => {
  const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
  const [, runTime = '', development = ''] = read('docs/dependencies.md').split(/^## /m);
  const listed = (section: string) =>
    [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name).sort();
  assert.deepEqual(listed(runTime), Object.keys(manifest.dependencies ?? {}).sort());
  assert.deepEqual(listed(development), Object.keys(manifest.devDependencies ?? {}).sort());
});

test('docs/monitoring.md has every metric of the gateway, and no other', async () => {
  const metrics = [
    ...(await new WorkerMetrics('worker-1').snapshot()),
    ...(await new PrimaryMetrics('0.1.0', 0).snapshot()),
  ];
  const told = new Set(
    metrics.map(({ name }) => name).filter((name) => name.startsWith('sekisho_')),
  );
  const [, section = ''] = read('docs/monitoring.md').split(/^## /m).slice(1);
  const cells = [...section.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([a-z_]+)`/g)].map(([, name]) => `sekisho_${name}`),
  );
  assert.deepEqual(cells.sort(), [...told].sort());
});

for (const page of pages) {
  test(`the links of ${page} lead somewhere`, () => {
    const targets = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const broken = targets.filter((target) => !leads(page, target));
    assert.deepEqual(broken, []);
  });
}

function leads(page: string, target: string): boolean {
  if (/^(?:https?|mailto):/.test(target)) return true;
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(ROOT, file))) return false;
  return anchor === undefined || anchorsOf(file).includes(anchor);
}
