import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { TUNNEL_OUTCOME } from '../../test/support/audit-events.ts';
import type { OutcomeEvent } from './event.ts';
import { squidLine } from './squid-line.ts';
import { SquidLog } from './squid-log.ts';

const TUNNEL: OutcomeEvent = { ...TUNNEL_OUTCOME, time: '2026-11-23T05:10:00.023Z' };

const REQUEST: OutcomeEvent = {
  ...TUNNEL,
  client: '[2001:db8::5]:41234',
  action: 'GET',
  path: '/a b',
  destination: 'example.com:80',
};

const DENIED: OutcomeEvent = {
  ...TUNNEL,
  principal: null,
  address: null,
  decision: { stage: 'name', effect: 'deny', reason: 'no-identity', rule: null, mode: 'enforce' },
  outcome: { status: 407, error: null, bytesUp: 0, bytesDown: 0, durationMs: 0.2 },
};

/** What a reader of `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt` makes of a line. */
const NATIVE =
  /^(\d+\.\d{3}) {1,6}(\d+) (\S+) ([A-Z_]+)\/(\d{3}) (\d+) (\S+) (\S+) (\S+) ([A-Z_]+)\/(\S+) (\S+)\n$/;

test('each kind of outcome has the codes that Squid would write', () => {
  const report = { ...DENIED.decision, mode: 'report' } as OutcomeEvent['decision'];
  const cut = { ...TUNNEL.outcome, status: null };
  const lines: readonly [OutcomeEvent, string][] = [
    [
      TUNNEL,
      '1795410600.023     12 10.0.0.5 TCP_TUNNEL/200 4096 CONNECT api.github.com:443 athena-connector HIER_DIRECT/140.82.121.6 -',
    ],
    [
      REQUEST,
      '1795410600.023     12 2001:db8::5 TCP_MISS/200 4096 GET http://example.com/a%20b athena-connector HIER_DIRECT/140.82.121.6 -',
    ],
    [
      DENIED,
      '1795410600.023      0 10.0.0.5 TCP_DENIED/407 0 CONNECT api.github.com:443 - HIER_NONE/- -',
    ],
    [
      { ...TUNNEL, decision: report },
      '1795410600.023     12 10.0.0.5 TCP_TUNNEL/200 4096 CONNECT api.github.com:443 athena-connector HIER_DIRECT/140.82.121.6 -',
    ],
    [
      { ...DENIED, destination: null, outcome: { ...DENIED.outcome, status: 400 } },
      '1795410600.023      0 10.0.0.5 TCP_DENIED/400 0 CONNECT error:invalid-request - HIER_NONE/- -',
    ],
    [
      { ...TUNNEL, exit: 'corp', parent: { name: 'proxy.corp:3128', address: '10.0.0.3' } },
      '1795410600.023     12 10.0.0.5 TCP_TUNNEL/200 4096 CONNECT api.github.com:443 athena-connector FIRSTUP_PARENT/proxy.corp -',
    ],
    [
      { ...TUNNEL, address: null, parent: { name: '[2001:db8::3]:3128', address: null } },
      '1795410600.023     12 10.0.0.5 TCP_TUNNEL/200 4096 CONNECT api.github.com:443 athena-connector FIRSTUP_PARENT/2001:db8::3 -',
    ],
    [
      { ...TUNNEL, outcome: cut },
      '1795410600.023     12 10.0.0.5 NONE_NONE/000 4096 CONNECT api.github.com:443 athena-connector HIER_DIRECT/140.82.121.6 -',
    ],
  ];
  for (const [event, line] of lines) assert.equal(squidLine(event), `${line}\n`);
});

test('whatever a client sent, an exchange is one line of ten fields', () => {
  const text = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(text, text, text, (path, principal, action) => {
      const line = squidLine({ ...REQUEST, path, principal, action });
      assert.match(line, NATIVE);
      assert.match(line, /^[\x20-\x7e]*\n$/);
    }),
  );
});

async function open(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-squid-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'access.log');
  const told: string[] = [];
  const counted = { lost: 0 };
  const log = await SquidLog.open({
    path,
    log: { info: (_, text) => void told.push(text), error: (_, text) => void told.push(text) },
    lost: (lines) => {
      counted.lost += lines;
    },
  });
  return { log, path, told, counted };
}

test('outcomes get a line each, other events none', async (t) => {
  const { log, path } = await open(t);
  const { outcome, tls, ...decision } = TUNNEL;
  log.add({ ...decision, type: 'decision' });
  log.add(TUNNEL);
  log.add(DENIED);
  await log.close();
  assert.equal(await readFile(path, 'utf8'), squidLine(TUNNEL) + squidLine(DENIED));
});

test('after a rotation it goes on in a new file, and no line is lost', async (t) => {
  const { log, path, counted } = await open(t);
  log.add(TUNNEL);
  await log.reopen();
  await rename(path, `${path}.1`);
  log.add(REQUEST);
  await log.reopen();
  log.add(DENIED);
  await log.close();
  const both = (await readFile(`${path}.1`, 'utf8')) + (await readFile(path, 'utf8'));
  assert.equal(both, squidLine(TUNNEL) + squidLine(REQUEST) + squidLine(DENIED));
  assert.ok((await readFile(path, 'utf8')).endsWith(squidLine(DENIED)));
  assert.equal(counted.lost, 0);
});

test('a file that was moved away is noticed without a signal', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { log, path } = await open(t);
  await rename(path, `${path}.1`);
  t.mock.timers.tick(1_000);
  while (!(await readFile(path).catch(() => undefined))) await new Promise(setImmediate);
  log.add(TUNNEL);
  await log.close();
  assert.equal(await readFile(path, 'utf8'), squidLine(TUNNEL));
});

test('a file that cannot be written is told at start', async () => {
  const options = { path: '/dev/null/log', log: { info() {}, error() {} }, lost() {} };
  await assert.rejects(SquidLog.open(options), {
    code: 'squid-log-unavailable',
    message: /^the log \/dev\/null\/log cannot be written: ENOTDIR.*change audit\.also$/,
  });
});
