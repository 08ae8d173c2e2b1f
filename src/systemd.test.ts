import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { needs } from '../test/support/programs.ts';
import { startServiceManager } from '../test/support/service-manager.ts';
import { createNotifier } from './systemd.ts';

const skip = needs('systemd', 'python3');

/** A log whose lines are events: `warn` and `info`, with their facts. */
function eventLog() {
  const events = new EventEmitter();
  return {
    events,
    warn: (facts: object) => void events.emit('warn', facts),
    info: (facts: object) => void events.emit('info', facts),
  };
}

/** A folder, and the path of a program in it that stands in for `systemd-notify`. */
function standIn(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-systemd-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const program = join(dir, 'notify');
  return {
    dir,
    program,
    write: (script: string) => writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 }),
  };
}

test('systemd reads readiness, reloads and the stop in their order, and nothing after the stop', {
  skip,
}, async (t) => {
  const manager = await startServiceManager();
  t.after(() => manager.stop());
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: manager.socket }, log: eventLog() });
  notifier.ready('accepting');
  assert.deepEqual(await manager.next(), ['READY=1', 'STATUS=accepting']);

  const before = process.hrtime.bigint() / 1_000n;
  notifier.reloading();
  notifier.ready('refused:\nREADY=0');
  const [reloading, time] = await manager.next();
  assert.equal(reloading, 'RELOADING=1');
  const [, microseconds = ''] = /^MONOTONIC_USEC=(\d+)$/.exec(time ?? '') ?? [];
  assert.ok(BigInt(microseconds) >= before);
  assert.ok(BigInt(microseconds) <= process.hrtime.bigint() / 1_000n);
  assert.deepEqual(await manager.next(), ['READY=1', 'STATUS=refused: READY=0']);

  notifier.stopping('draining');
  notifier.ready('a reload that ended late');
  assert.deepEqual(await manager.next(), ['STOPPING=1', 'STATUS=draining']);
  const another = createNotifier({ env: { NOTIFY_SOCKET: manager.socket }, log: eventLog() });
  for (const status of ['time', 'for a message', 'to come late']) {
    another.ready(status);
    assert.deepEqual(await manager.next(), ['READY=1', `STATUS=${status}`]);
  }
});

test('the watchdog is kept quiet only for as long as the gateway is alive', { skip }, async (t) => {
  const manager = await startServiceManager();
  t.after(() => manager.stop());
  const notifier = createNotifier({
    env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '20000', WATCHDOG_PID: `${process.pid}` },
    log: eventLog(),
  });
  const asked = new EventEmitter();
  let times = 0;
  const enough = once(asked, 'enough');
  // What systemd knows nothing of keeps this process going: the timer of the watchdog does not.
  const awake = setInterval(() => {}, 1_000);
  notifier.watch(() => {
    times++;
    if (times === 20) asked.emit('enough');
    return times <= 10;
  });
  await enough;
  notifier.stopping('end');
  clearInterval(awake);
  await manager.next();
  assert.ok(manager.pings >= 1 && manager.pings <= 10, `${manager.pings} pings`);
});

test('no watchdog is kept quiet that waits for another process', async (t) => {
  const { program } = standIn(t);
  const env = { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' };
  createNotifier({ env, log: eventLog(), program }).watch(() => assert.fail('asked'));
});

test('without a service manager nothing is started', async (t) => {
  const { program } = standIn(t);
  const log = eventLog();
  log.events.on('warn', () => assert.fail('a program was started'));
  const notifier = createNotifier({ env: { WATCHDOG_USEC: '2000' }, log, program });
  notifier.ready('accepting');
  notifier.watch(() => assert.fail('asked'));
  notifier.reloading();
  notifier.stopping('draining');
});

test('a service manager that cannot be told is logged once, and once more when it can', async (t) => {
  const { program, write } = standIn(t);
  const log = eventLog();
  const warnings: object[] = [];
  log.events.on('warn', (facts) => warnings.push(facts));
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: '/nowhere' }, log, program });
  notifier.ready('one');
  notifier.ready('two');
  await once(log.events, 'warn');
  write('exit 0');
  notifier.ready('three');
  assert.deepEqual(await once(log.events, 'info'), [{ failures: 2 }]);
  assert.equal(warnings.length, 1);
});

test('while a message hangs no other process is started, and the newest messages are kept', async (t) => {
  const { dir, program, write } = standIn(t);
  const [seen, go] = [join(dir, 'seen'), join(dir, 'go')];
  write(`echo "$2" >> ${seen}; until test -e ${go}; do sleep 0.02; done`);
  const log = eventLog();
  const dropped = once(log.events, 'warn');
  const told = once(log.events, 'info');
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: '/nowhere' }, log, program });
  for (let i = 0; i < 40; i++) notifier.ready(String(i));
  await dropped;
  while (!readable(seen)) await setImmediate();
  assert.deepEqual(lines(seen), ['STATUS=0']);
  writeFileSync(go, '');
  await told;
  while (lines(seen).length < 17) await setImmediate();
  const newest = Array.from({ length: 16 }, (_, i) => `STATUS=${24 + i}`);
  assert.deepEqual(lines(seen), ['STATUS=0', ...newest]);
});

test('what sends a message sees nothing of the environment but where to send it', async (t) => {
  const { dir, program, write } = standIn(t);
  const seen = join(dir, 'environment');
  write(`env > ${seen}.part; mv ${seen}.part ${seen}`);
  const env = { NOTIFY_SOCKET: '/nowhere', ATHENA_HEADER: 'open-sesame' };
  createNotifier({ env, log: eventLog(), program }).ready('accepting');
  while (!readable(seen)) await setImmediate();
  const names = lines(seen).map((line) => line.split('=')[0]);
  assert.ok(names.includes('NOTIFY_SOCKET'));
  assert.ok(!names.includes('ATHENA_HEADER') && !names.includes('HOME'));
});

function lines(file: string): string[] {
  return readFileSync(file, 'utf8').trim().split('\n');
}

function readable(file: string): boolean {
  try {
    return readFileSync(file, 'utf8').endsWith('\n');
  } catch {
    return false;
  }
}
