import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { TUNNEL_OUTCOME } from '../../test/support/audit-events.ts';
import { Chainer } from '../audit/chain.ts';
import type { DecisionEvent, OutcomeEvent } from '../audit/event.ts';
import { printable } from '../audit/printable.ts';
import { segmentName } from '../audit/segment-name.ts';
import { exportCommand } from './audit-export.ts';
import { searchCommand } from './audit-search.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOON = Date.parse('2026-11-23T12:00:00Z');

const OUTCOME: OutcomeEvent = { ...TUNNEL_OUTCOME, time: '2026-11-23T12:10:00.123Z' };

const { outcome: _, tls: __, ...facts } = OUTCOME;
const DECISION: DecisionEvent = { ...facts, type: 'decision' };

const DENIED: OutcomeEvent = {
  ...OUTCOME,
  time: '2026-11-24T09:00:00.000Z',
  principal: 'report-job',
  action: 'GET',
  path: '/=cmd|"calc",1',
  destination: 'github.com:80',
  decision: {
    stage: 'name',
    effect: 'deny',
    reason: 'rule-deny',
    rule: 'no-paste',
    mode: 'enforce',
  },
};

const SUPPRESSED = {
  type: 'suppressed',
  time: '2026-11-24T09:00:01.000Z',
  gateway: 'tokyo-1',
  client: '10.0.0.9',
  count: 940,
  from: '2026-11-24T09:00:00.000Z',
  to: '2026-11-24T09:00:01.000Z',
};

function makeRecord(
  t: TestContext,
  events: readonly object[][] = [
    [DECISION, OUTCOME],
    [DENIED, SUPPRESSED],
  ],
): string {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-search-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [day, ofDay] of events.entries()) {
    const lines = ofDay.map((event) => `${printable(JSON.stringify(event))}\n`);
    const path = join(dir, segmentName(NOON + day * DAY_MS - (day && DAY_MS / 2), 1));
    writeFileSync(path, new Chainer().chain(null, ['{"type":"segment"}\n', ...lines]).bytes);
  }
  return dir;
}

async function output(t: TestContext, command: ReturnType<typeof searchCommand>, args: string[]) {
  const stdout = new PassThrough();
  t.mock.getter(process, 'stdout', () => stdout);
  await command.configureOutput({ writeErr() {} }).parseAsync(args, { from: 'user' });
  t.mock.restoreAll();
  return text(stdout.end());
}

async function found(t: TestContext, dir: string, ...filter: string[]): Promise<string[]> {
  const lines = await output(t, searchCommand(), ['--dir', dir, '--json', ...filter]);
  return lines
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const { type, principal } = JSON.parse(line);
      return principal === undefined ? type : `${type} of ${principal}`;
    });
}

const BOTH = ['decision of athena-connector', 'outcome of athena-connector'];
const [, ENDED] = BOTH as [string, string];

const FILTERS: readonly (readonly [string, readonly string[]])[] = [
  ['', [...BOTH, 'outcome of report-job', 'suppressed']],
  ['--principal athena-connector', BOTH],
  ['--principal athena', []],
  ['--destination github.com', ['outcome of report-job']],
  ['--destination .github.com', [...BOTH, 'outcome of report-job']],
  ['--destination .GitHub.com:443', BOTH],
  ['--destination hub.com', []],
  ['--destination .hub.com', []],
  ['--destination external', []],
  ['--reason rule-deny', ['outcome of report-job']],
  ['--effect allow', BOTH],
  ['--effect deny --principal athena-connector', []],
  ['--type outcome --effect allow', [ENDED]],
  ['--type suppressed --type decision', [BOTH[0] as string, 'suppressed']],
  ['--since 2026-11-24', ['outcome of report-job', 'suppressed']],
  ['--until 2026-11-23', BOTH],
  ['--since 2026-11-24T09:00:00.001Z', ['suppressed']],
  ['--until 2026-11-23T21:10:00.123+09:00', BOTH],
  ['--until 2026-11-23T12:10:00.122Z', []],
  ['--text cmd|"calc"', ['outcome of report-job']],
  ['--text athena-saas', BOTH],
];

for (const [filter, expected] of FILTERS) {
  test(`search ${filter || 'without a filter'}`, async (t) => {
    const dir = makeRecord(t);
    assert.deepEqual(await found(t, dir, ...filter.split(' ').filter(Boolean)), expected);
  });
}

test('an age counts back from now', async (t) => {
  const now = new Date().toISOString();
  const dir = makeRecord(t, [[{ ...OUTCOME, time: now }]]);
  assert.deepEqual(await found(t, dir, '--until', '1d'), []);
});

test('a value that holds the spelling of a field is not taken for the field', async (t) => {
  const path = '/"principal":"athena-connector"';
  const dir = makeRecord(t, [[{ ...DENIED, path }]]);
  assert.deepEqual(await found(t, dir, '--principal', 'athena-connector'), []);
  assert.deepEqual(await found(t, dir, '--text', path), ['outcome of report-job']);
});

test('text is found as a person writes it, whatever the record escapes', async (t) => {
  const dir = makeRecord(t, [[{ ...DENIED, path: '/a\u202eb\\c' }]]);
  assert.deepEqual(await found(t, dir, '--text', 'a\u202eb\\c'), ['outcome of report-job']);
});

test('a person sees one line for each exchange, and damaged lines as they stand', async (t) => {
  const dir = makeRecord(t);
  writeFileSync(
    join(dir, segmentName(NOON + 2 * DAY_MS, 1)),
    '{"type":"outcome",\x1b[2J"time":"2026-11-25"\n',
  );
  const lines = (await output(t, searchCommand(), ['--dir', dir])).split('\n');
  assert.match(
    lines[0] as string,
    /^11-23 12:10:00\.123 ✓ athena-connector .* api\.github\.com:443 .* 200/,
  );
  assert.match(lines[1] as string, /✗ report-job .* GET .* rule-deny no-paste/);
  assert.match(lines[2] as string, /940 more refusals of 10\.0\.0\.9/);
  assert.equal(lines[3], '{"type":"outcome",\\u001b[2J"time":"2026-11-25"');
  const decisions = await output(t, searchCommand(), ['--dir', dir, '--type', 'decision']);
  assert.match(
    decisions,
    /^11-23 12:10:00\.123 ✓ athena-connector +CONNECT api\.github\.com:443 +athena-saas\n$/,
  );
});

test('what makes no sense is refused, not left out', async (t) => {
  const dir = makeRecord(t);
  for (const wrong of [
    '--reason no-such',
    '--since yesterday',
    '--since 2026-11-24T09:00:00',
    '--type x',
    '--destination a/b',
    '--effect maybe',
  ]) {
    await assert.rejects(output(t, searchCommand(), ['--dir', dir, ...wrong.split(' ')]), {
      code: 'commander.invalidArgument',
    });
  }
});

test('a record that is not there is told', async (t) => {
  await assert.rejects(output(t, searchCommand(), ['--dir', '/nonexistent/audit']), {
    code: 'audit-unreadable',
    message: /^the record cannot be read: ENOENT.*\/nonexistent\/audit/,
  });
});

test('CSV has a row for each exchange, and no cell that a spreadsheet would run', async (t) => {
  const formula = {
    ...DENIED,
    principal: '=HYPERLINK("http://evil.example")',
    action: '-1+1',
    path: '@SUM(1)',
  };
  const dir = makeRecord(t, [
    [DECISION, OUTCOME],
    [formula, SUPPRESSED],
  ]);
  const rows = (await output(t, exportCommand(), ['--dir', dir, '--format', 'csv'])).split('\r\n');
  assert.equal(rows.length, 4);
  assert.equal(
    rows[1],
    '2026-11-23T12:10:00.123Z,outcome,019ab0c4-2f1e-7c3a-9d52-1b7f0a3c5e88,tokyo-1,egress,10.0.0.5:41234,athena-connector,header,CONNECT,api.github.com:443,,140.82.121.6,true,allow,rule-allow,athena-saas,enforce,address,,,sha256:5e15,200,,517,4096,12.3',
  );
  assert.match(
    rows[2] as string,
    /,"'=HYPERLINK\(""http:\/\/evil\.example""\)",header,'-1\+1,github\.com:80,'@SUM\(1\),/,
  );
});

test('JSON has every event as it stands', async (t) => {
  const dir = makeRecord(t);
  const json = await output(t, exportCommand(), ['--dir', dir, '--format', 'json']);
  const events = json
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ chain, ...event }) => event),
    [DECISION, OUTCOME, DENIED, SUPPRESSED],
  );
});
