import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { appendFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { exchangeId, ID_DIGITS, idStamp } from '../core/exchange-id.ts';
import { RecentExchanges } from './recent.ts';
import { segmentName } from './segment-name.ts';
import { AuditTrail } from './trail.ts';

const NOON = Date.parse('2026-11-23T12:00:00Z');
const HOUR_MS = 60 * 60 * 1000;

function makeTrail(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-trail-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const recent = new RecentExchanges();
  const trail = new AuditTrail(dir, recent, () => NOON);
  const segment = (startedMs: number, pid: number) => join(dir, segmentName(startedMs, pid));
  return { trail, recent, segment };
}

let made = 0;

function makeId(time: number): string {
  made++;
  return exchangeId(idStamp(time), made.toString(16).padStart(ID_DIGITS, '0'));
}

function line(time: number, facts: { type?: string; id?: string; note?: string } = {}): string {
  const { type = 'decision', ...rest } = facts;
  return `${JSON.stringify({ type, time: new Date(time).toISOString(), ...rest })}\n`;
}

const ALL = { last: 100, follow: undefined, types: undefined };

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const notes: string[] = [];
  for await (const text of lines) notes.push(JSON.parse(text).note);
  return notes;
}

test('the last events of all workers come in order of time', async (t) => {
  const { trail, segment } = makeTrail(t);
  const at = (minute: number, note: string) => line(NOON - HOUR_MS + minute * 60_000, { note });
  await writeFile(segment(NOON - 30 * HOUR_MS, 1), line(NOON - 30 * HOUR_MS, { note: 'a' }));
  await writeFile(segment(NOON - 2 * HOUR_MS, 1), at(1, 'b') + at(3, 'd'));
  await writeFile(segment(NOON - 3 * HOUR_MS, 2), at(2, 'c') + at(4, 'e'));
  assert.deepEqual(await collect(trail.tail(ALL)), ['a', 'b', 'c', 'd', 'e']);
  assert.deepEqual(await collect(trail.tail({ ...ALL, last: 3 })), ['c', 'd', 'e']);
  assert.deepEqual(await collect(trail.tail({ ...ALL, last: 0 })), []);
});

test('only events of the wanted types count', async (t) => {
  const { trail, segment } = makeTrail(t);
  const types = ['decision', 'outcome', 'decision', 'suppressed', 'decision'];
  const lines = types.map((type, i) => line(NOON, { type, note: `${i}` }));
  await writeFile(segment(NOON, 1), lines.join(''));
  const wanted = { ...ALL, types: ['outcome', 'suppressed'] as const };
  assert.deepEqual(await collect(trail.tail(wanted)), ['1', '3']);
});

test('long lines and long segments are read whole', async (t) => {
  const { trail, segment } = makeTrail(t);
  const notes = Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(1 + ((i * 7919) % 3000), '.'));
  notes[150] = 'x'.repeat(300_000);
  await writeFile(segment(NOON, 1), notes.map((note) => line(NOON, { note })).join(''));
  assert.deepEqual(await collect(trail.tail({ ...ALL, last: 1000 })), notes);
  assert.deepEqual(await collect(trail.tail({ ...ALL, last: 200 })), notes.slice(-200));
});

test('an unfinished last line is left out', async (t) => {
  const { trail, segment } = makeTrail(t);
  await writeFile(segment(NOON, 1), `${line(NOON, { note: 'whole' })}{"type":"deci`);
  assert.deepEqual(await collect(trail.tail(ALL)), ['whole']);
});

test('a line that was torn and ended is left out', async (t) => {
  const { trail, segment } = makeTrail(t);
  const id = makeId(NOON);
  const torn = line(NOON, { id, note: 'torn' }).slice(0, -4);
  await writeFile(segment(NOON, 1), `${torn}\n${line(NOON, { id, note: 'whole' })}`);
  assert.deepEqual(await collect(trail.tail(ALL)), ['whole']);
  assert.equal((await trail.find(id)).length, 1);
});

test('following gives what is written later, in segments old and new, once each', async (t) => {
  const { trail, segment } = makeTrail(t);
  const path = segment(NOON - HOUR_MS, 1);
  await writeFile(path, line(NOON, { note: 'before' }) + line(NOON, { note: 'last' }));
  const stop = new AbortController();
  const lines = trail.tail({ last: 1, follow: stop.signal, types: undefined });
  const next = async () => JSON.parse((await lines.next()).value as string).note;
  assert.equal(await next(), 'last');
  const half = line(NOON, { note: 'appended' });
  await appendFile(path, half.slice(0, 10));
  const appended = next();
  await appendFile(path, half.slice(10));
  assert.equal(await appended, 'appended');
  await writeFile(segment(NOON, 1), line(NOON, { note: 'new segment' }));
  assert.equal(await next(), 'new segment');
  const ended = lines.next();
  stop.abort();
  assert.equal((await ended).done, true);
});

test('an exchange is found by its id, in the segments of its worker', async (t) => {
  const { trail, segment } = makeTrail(t);
  const [wanted, other] = [makeId(NOON - 2 * HOUR_MS), makeId(NOON - 2 * HOUR_MS)];
  const at = (hours: number, id: string, type: string, note: string) =>
    line(NOON - hours * HOUR_MS, { type, id, note });
  await writeFile(segment(NOON - 5 * HOUR_MS, 1), at(4, other, 'decision', 'too early'));
  await writeFile(
    segment(NOON - 3 * HOUR_MS, 1),
    at(2, other, 'decision', 'other') + at(2, wanted, 'decision', 'name'),
  );
  await writeFile(segment(NOON - 2.5 * HOUR_MS, 2), at(2, other, 'outcome', 'other worker'));
  await writeFile(
    segment(NOON - HOUR_MS, 1),
    at(1, wanted, 'decision', 'hello') + at(1, wanted, 'outcome', 'end') + at(0.5, other, 'x', ''),
  );
  const events = await trail.find(wanted);
  assert.deepEqual(
    events.map((event) => (event as { note?: string }).note),
    ['name', 'hello', 'end'],
  );
});

test('what is not there, or is no exchange id, is not found', async (t) => {
  const { trail, segment } = makeTrail(t);
  await writeFile(segment(NOON, 1), line(NOON, { id: makeId(NOON) }));
  assert.deepEqual(await trail.find(makeId(NOON)), []);
  assert.deepEqual(await trail.find('../../etc/passwd'), []);
});

test('a recent exchange is found without a look at the disk', async (t) => {
  const { trail, recent, segment } = makeTrail(t);
  const id = makeId(NOON);
  recent.add(id, line(NOON, { id, note: 'remembered' }));
  await rm(join(segment(NOON, 1), '..'), { recursive: true });
  assert.partialDeepStrictEqual(await trail.find(id), [{ id, note: 'remembered' }]);
});
