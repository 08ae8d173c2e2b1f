import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openRecord, type RecordOptions } from '../../test/support/record.ts';
import { createFile, type SegmentFile } from './segment.ts';
import { segmentName } from './segment-name.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOON = Date.parse('2026-11-23T12:00:00Z');

interface Told {
  readonly level: 'info' | 'error';
  readonly message: string;
  readonly facts: object;
}

function makeDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-audit-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function open(t: TestContext, given: Partial<RecordOptions> = {}) {
  const dir = join(makeDir(t), 'audit');
  const told: Told[] = [];
  const counted = { written: 0, lost: 0 };
  const writer = await openRecord({
    dir,
    gateway: 'tokyo-1',
    policy: 'sha256:5e15',
    durability: 'write',
    keepMs: 400 * DAY_MS,
    checkpoint: undefined,
    now: () => NOON,
    log: {
      info: (facts, message) => void told.push({ level: 'info', message, facts }),
      error: (facts, message) => void told.push({ level: 'error', message, facts }),
    },
    meter: {
      linesWritten: (count) => {
        counted.written += count;
      },
      linesLost: (count) => {
        counted.lost += count;
      },
      checkpointTaken() {},
      checkpointFailed() {},
      checkpointCopyFailed() {},
    },
    ...given,
  });
  t.after(() => writer.close());
  return { writer, dir: given.dir ?? dir, told, counted };
}

/** A line that holds a word and nothing else. */
function line(word: string): string {
  return `${JSON.stringify({ word })}\n`;
}

/** The words of a segment's text, one a line, without its header; what is no whole line as it stands. */
function wordsIn(text: string): string {
  return text
    .replace(/^\{"type":"segment".*\n/, '')
    .replace(/\{"word":"(\w*)","chain":"\w{64}"\}/g, '$1');
}

async function readSegments(dir: string): Promise<string[]> {
  const names = (await readdir(dir)).filter((name) => name !== 'checkpoints.jsonl').sort();
  return names.map((name) => wordsIn(readFileSync(join(dir, name), 'utf8')));
}

/** Real files, with some of their calls replaced. */
function withFile(replace: (real: SegmentFile) => Partial<SegmentFile>) {
  return (path: string): SegmentFile => {
    const real = createFile(path);
    return { ...real, ...replace(real) };
  };
}

const unavailable = { code: 'audit-unavailable', reason: 'audit-unavailable' };

test('the lines of one turn of the event loop are one write, in order', async (t) => {
  const writes: string[] = [];
  const create = withFile((real) => ({
    write: (bytes, offset) => {
      writes.push(wordsIn(bytes.toString('utf8', offset)));
      return real.write(bytes, offset);
    },
  }));
  const { writer, dir, counted } = await open(t, { create });
  await Promise.all([
    writer.write(line('one')),
    writer.write(line('two')),
    writer.write(line('three')),
  ]);
  await writer.write(line('four'));
  assert.deepEqual(writes, ['', 'one\ntwo\nthree\n', 'four\n']);
  assert.deepEqual(await readSegments(dir), ['one\ntwo\nthree\nfour\n']);
  assert.deepEqual(counted, { written: 4, lost: 0 });
});

test('a resolved line is with the operating system', async (t) => {
  const { writer, dir } = await open(t);
  await writer.write(line('decision'));
  assert.deepEqual(await readSegments(dir), ['decision\n']);
});

test('a short write is completed', async (t) => {
  const create = withFile((real) => ({
    write: (bytes, offset) => real.write(bytes.subarray(0, offset + 3), offset),
  }));
  const { writer, dir } = await open(t, { create });
  await writer.write(line('manybytes'));
  assert.deepEqual(await readSegments(dir), ['manybytes\n']);
});

test('a full disk rejects the lines of that turn, and the record recovers by itself', async (t) => {
  const full = openSync('/dev/full', 'a');
  t.after(() => closeSync(full));
  let isFull = false;
  const create = withFile((real) => ({
    write: (bytes, offset) => (isFull ? writeSync(full, bytes, offset) : real.write(bytes, offset)),
  }));
  const { writer, dir, told, counted } = await open(t, { create });
  isFull = true;
  const lines = ['a', 'b'].map((word) => writer.write(line(word)));
  for (const line of lines) await assert.rejects(line, unavailable);
  await assert.rejects(writer.write(line('c')), unavailable);
  isFull = false;
  await writer.write(line('d'));
  assert.deepEqual(await readSegments(dir), ['d\n']);
  assert.deepEqual(counted, { written: 1, lost: 3 });
  assert.deepEqual(
    told.map(({ level, message }) => `${level}: ${message}`),
    ['error: the audit record cannot be written', 'info: the audit record can be written again'],
  );
  assert.deepEqual(told[1]?.facts, { lost: 3 });
});

test('a rejection that nobody waits for ends nothing', async (t) => {
  let broken = false;
  const create = withFile((real) => ({
    write: (bytes, offset) => {
      if (broken) throw new Error('EIO');
      return real.write(bytes, offset);
    },
  }));
  const { writer, dir } = await open(t, { create });
  broken = true;
  void writer.write(line('outcome'));
  await new Promise(setImmediate);
  broken = false;
  await writer.write(line('next'));
  assert.deepEqual(await readSegments(dir), ['next\n']);
});

/** Writes the header and a line, then a part of the next write, then fails once. */
function tearing(part: number, replace: Partial<SegmentFile> = {}) {
  let calls = 0;
  return withFile((real) => ({
    write: (bytes, offset) => {
      calls++;
      if (calls === 3) return real.write(bytes.subarray(0, part), offset);
      if (calls === 4) throw new Error('ENOSPC');
      return real.write(bytes, offset);
    },
    ...replace,
  }));
}

test('a torn line is cut back', async (t) => {
  const { writer, dir } = await open(t, { create: tearing(9) });
  await writer.write(line('first'));
  await assert.rejects(writer.write(line('second')), unavailable);
  await writer.write(line('third'));
  assert.deepEqual(await readSegments(dir), ['first\nthird\n']);
});

test('where a torn line cannot be cut back, a new segment goes on', async (t) => {
  const create = tearing(150, {
    truncate: () => {
      throw new Error('EPERM');
    },
  });
  const { writer, dir } = await open(t, { create });
  await writer.write(line('first'));
  const both = ['second', 'third'].map((word) => writer.write(line(word)));
  for (const rejected of both) await assert.rejects(rejected, unavailable);
  await writer.write(line('fourth'));
  await writer.write(line('fifth'));
  const [torn = '', next] = await readSegments(dir);
  assert.match(torn, /^first\nsecond\n\{"word":"third","c[^\n]*$/);
  assert.equal(next, 'fourth\nfifth\n');
});

test('with fsync a line resolves once it is on disk, and lines during a sync share the next', async (t) => {
  const syncs: PromiseWithResolvers<void>[] = [];
  const begun = new EventTarget();
  const create = withFile(() => ({
    sync: () => {
      const sync = Promise.withResolvers<void>();
      syncs.push(sync);
      begun.dispatchEvent(new Event('sync'));
      return sync.promise;
    },
  }));
  const nextSync = () =>
    new Promise((resolve) => begun.addEventListener('sync', resolve, { once: true }));
  const { writer, dir } = await open(t, { durability: 'fsync', create });
  const resolved: string[] = [];
  const write = (word: string) => writer.write(line(word)).then(() => void resolved.push(word));
  const first = nextSync();
  const all = [write('one')];
  await first;
  all.push(write('two'));
  await new Promise(setImmediate);
  all.push(write('three'));
  await new Promise(setImmediate);
  assert.deepEqual(await readSegments(dir), ['one\ntwo\nthree\n']);
  assert.deepEqual([syncs.length, resolved], [1, []]);
  const second = nextSync();
  syncs[0]?.resolve();
  await second;
  assert.deepEqual(resolved, ['one']);
  syncs[1]?.resolve();
  await Promise.all(all);
  assert.deepEqual([syncs.length, resolved], [2, ['one', 'two', 'three']]);
});

test('with fsync a line is really synced', async (t) => {
  const { writer, dir } = await open(t, { durability: 'fsync' });
  await writer.write(line('one'));
  assert.deepEqual(await readSegments(dir), ['one\n']);
});

test('nothing is appended to a segment that did not sync', async (t) => {
  let syncs = 0;
  const create = withFile((real) => ({
    sync: () => (++syncs === 1 ? Promise.reject(new Error('EIO')) : real.sync()),
  }));
  const { writer, dir, counted } = await open(t, { durability: 'fsync', create });
  await assert.rejects(writer.write(line('one')), unavailable);
  await writer.write(line('two'));
  assert.deepEqual(await readSegments(dir), ['one\n', 'two\n']);
  assert.deepEqual(counted, { written: 1, lost: 1 });
});

test('a new segment begins at midnight, UTC', async (t) => {
  let now = Date.parse('2026-11-23T23:59:59.999Z');
  const { writer, dir } = await open(t, { now: () => now });
  await writer.write(line('before'));
  now += 1;
  await writer.write(line('after'));
  assert.deepEqual((await readdir(dir)).sort(), [
    `20261123T235959.999Z-${process.pid}.jsonl`,
    `20261124T000000.000Z-${process.pid}.jsonl`,
  ]);
  assert.deepEqual(await readSegments(dir), ['before\n', 'after\n']);
});

test('a folder that becomes read-only rejects lines when the next segment is due, and recovers', async (t) => {
  let now = Date.parse('2026-11-23T23:59:59.999Z');
  let isReadOnly = false;
  const create = (path: string) => {
    if (isReadOnly) throw Object.assign(new Error('EROFS'), { code: 'EROFS' });
    return createFile(path);
  };
  const { writer, dir, told, counted } = await open(t, { now: () => now, create });
  await writer.write(line('before'));
  isReadOnly = true;
  now += 1;
  for (const word of ['one', 'two']) await assert.rejects(writer.write(line(word)), unavailable);
  isReadOnly = false;
  await writer.write(line('after'));
  assert.deepEqual(await readSegments(dir), ['before\n', 'after\n']);
  assert.deepEqual([counted, told.length], [{ written: 2, lost: 2 }, 2]);
});

test('a new segment begins at 256 MiB', async (t) => {
  const sizes: number[] = [];
  const create = () => {
    const index = sizes.push(0) - 1;
    const write = (bytes: Buffer, offset: number) => {
      sizes[index] = (sizes[index] as number) + bytes.length - offset;
      return bytes.length - offset;
    };
    return { write, truncate() {}, sync: () => Promise.resolve(), close() {} };
  };
  const { writer } = await open(t, { create });
  const word = 'x'.repeat(8 * 1024 * 1024);
  for (let i = 0; i < 33; i++) await writer.write(line(word));
  assert.deepEqual(
    sizes.map((size) => Math.floor(size / word.length)),
    [32, 1],
  );
});

test('lines that pile up within a turn do not wait for its end', async (t) => {
  let written = 0;
  const create = withFile(() => ({
    write: (bytes, offset) => {
      written += bytes.length - offset;
      return bytes.length - offset;
    },
  }));
  const { writer } = await open(t, { create });
  const word = 'x'.repeat(1024 * 1024);
  const lines = Array.from({ length: 6 }, () => writer.write(line(word)));
  assert.ok(written > 0, 'written before the turn ended');
  await Promise.all(lines);
  assert.equal(Math.floor(written / word.length), 6);
});

test('segments older than keep are deleted at start, and announced', async (t) => {
  const dir = makeDir(t);
  const old = segmentName(NOON - 3 * DAY_MS, 1);
  const kept = segmentName(NOON - 1.5 * DAY_MS, 1);
  for (const name of [old, kept, 'notes.txt']) await writeFile(join(dir, name), 'line\n');
  const { told } = await open(t, { dir, keepMs: DAY_MS });
  assert.deepEqual(
    (await readdir(dir)).sort(),
    [kept, segmentName(NOON, process.pid), 'checkpoints.jsonl', 'notes.txt'].sort(),
  );
  assert.deepEqual(told, [
    {
      level: 'info',
      message: 'audit segment deleted: older than audit.keep',
      facts: { segment: join(dir, old) },
    },
  ]);
});

test('only this user may read the record', async (t) => {
  const { dir } = await open(t);
  const [name] = await readdir(dir);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(statSync(join(dir, name as string)).mode & 0o777, 0o600);
});

test('a directory that cannot be written is told at start', async (t) => {
  const dir = join(makeDir(t), 'file', 'audit');
  await writeFile(join(dir, '..'), '');
  await assert.rejects(open(t, { dir }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'audit-unavailable');
    assert.match(
      error.message,
      /the audit record cannot be written in .*\/file\/audit: ENOTDIR.*set gateway\.dataDir/,
    );
    return true;
  });
});

test('closing writes what is left', async (t) => {
  const { writer, dir } = await open(t);
  const last = writer.write(line('last'));
  await writer.close();
  await last;
  assert.deepEqual(await readSegments(dir), ['last\n']);
});
