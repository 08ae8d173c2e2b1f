import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { createLogger } from './log.ts';

function makeLog(isTTY: boolean) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { log: createLogger(Object.assign(stream, { isTTY })), told: () => text };
}

/** Escape sequences, C1 controls, marks that turn the reading direction, line separators. */
const HOSTILE = 'a\x1b[2J\x07\x7f\x9b\u202e\u2028\u200bz';

test('a line is JSON with level, time and message', () => {
  const { log, told } = makeLog(false);
  log.warn({ listener: 'egress' }, 'late');
  const { time, ...rest } = JSON.parse(told());
  assert.deepEqual(rest, { level: 'warn', msg: 'late', listener: 'egress' });
  assert.equal(new Date(time).toISOString(), time);
});

test('a level shows itself and what is worse', () => {
  for (const [level, shown] of [
    ['error', ['error']],
    ['warn', ['warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['debug', ['debug', 'info', 'warn', 'error']],
  ] as const) {
    const { log, told } = makeLog(false);
    log.level = level;
    for (const at of ['debug', 'info', 'warn', 'error'] as const) log[at]({}, at);
    const lines = told().trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).msg),
      shown,
    );
  }
});

test('nothing that a terminal acts upon is written as it is, and JSON reads back what was meant', () => {
  const { log, told } = makeLog(false);
  log.error({ err: new Error(HOSTILE), path: HOSTILE }, HOSTILE);
  assert.match(told(), /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u);
  const line = JSON.parse(told());
  assert.deepEqual([line.msg, line.path, line.err.message], [HOSTILE, HOSTILE, HOSTILE]);
});

test('nor on a terminal, where no text passes for a line of the log', () => {
  const { log, told } = makeLog(true);
  log.error({ faults: `one\n12:00:00 ready ${HOSTILE}` }, HOSTILE);
  const text = stripVTControlCharacters(told());
  assert.match(text, /^[^\p{Cf}\p{Zl}\p{Zp}\x00-\x09\x0b-\x1f\x7f-\x9f]*$/u);
  assert.match(text, /\n {2}12:00:00 ready a\\u001b/);
});
