import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { openRecord, type RecordOptions } from '../../test/support/record.ts';
import { Chainer } from './chain.ts';
import { statementHash, statementLine } from './checkpoint.ts';
import { segmentName } from './segment-name.ts';
import { verifyAudit } from './verify.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOON = Date.parse('2026-11-23T12:00:00Z');
const { privateKey: KEY } = generateKeyPairSync('ed25519');
const PUBLIC = createPublicKey(KEY);
const SILENT = {
  log: { info() {}, error() {} },
  meter: {
    linesWritten() {},
    linesLost() {},
    checkpointTaken() {},
    checkpointFailed() {},
    checkpointCopyFailed() {},
  },
};

const root = mkdtempSync(join(tmpdir(), 'sekisho-verify-'));
after(() => rmSync(root, { recursive: true, force: true }));

let made = 0;

function newDir(): string {
  const dir = join(root, `${made++}`);
  mkdirSync(dir);
  return dir;
}

async function open(dir: string, given: Partial<RecordOptions> = {}) {
  let now = NOON;
  const writer = await openRecord({
    dir: join(dir, 'audit'),
    gateway: 'tokyo-1',
    policy: 'sha256:5e15',
    durability: 'write',
    keepMs: 400 * DAY_MS,
    checkpoint: { everyMs: 60_000, key: KEY, copyTo: join(dir, 'copies') },
    now: () => now++,
    ...SILENT,
    ...given,
  });
  let number = 0;
  /** One write a line, as exchanges make them. */
  const write = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const event = { type: 'outcome', number: number++, host: 'api.example.com', allowed: true };
      await writer.write(`${JSON.stringify(event)}\n`);
    }
  };
  return { writer, write };
}

/** Runs a process's life: a segment with some lines, and a checkpoint at its beginning and its end. */
async function live(dir: string, lines: number, given: Partial<RecordOptions> = {}): Promise<void> {
  const { writer, write } = await open(dir, given);
  await write(lines);
  await writer.close();
}

function verify(dir: string, given: { keys?: KeyObject[]; anchors?: string | undefined } = {}) {
  const proofs = { keys: [PUBLIC], anchors: join(dir, 'copies'), ...given };
  return verifyAudit({ dir: join(dir, 'audit'), ...proofs, progress() {} });
}

const at = (days: number) => {
  let now = NOON + days * DAY_MS;
  return { now: () => now++ };
};

/** Three segments; the second one with a checkpoint in its middle. */
async function makeRecord(t: TestContext): Promise<string> {
  const dir = newDir();
  mkdirSync(join(dir, 'copies'));
  await live(dir, 5, at(0));
  t.mock.timers.enable({ apis: ['setInterval'] });
  /** Of a start, or of the clock: it is written beside what comes then. */
  const checkpointOf = async <T>(make: () => T | Promise<T>): Promise<T> => {
    const before = statements(dir).length;
    const made = await make();
    while (statements(dir).length === before) await new Promise(setImmediate);
    return made;
  };
  const { writer, write } = await checkpointOf(() => open(dir, at(1)));
  await write(10);
  await checkpointOf(() => t.mock.timers.tick(60_000));
  await write(10);
  await writer.close();
  t.mock.timers.reset();
  await live(dir, 5, at(2));
  return dir;
}

const NAMES = [0, 1, 2].map((days) => segmentName(NOON + days * DAY_MS, process.pid));
const [FIRST, SECOND, THIRD] = NAMES as [string, string, string];

function statements(dir: string): string[] {
  return linesOf(join(dir, 'audit', 'checkpoints.jsonl'));
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

let base: Promise<string> | undefined;

/** A copy of one record, to be damaged. */
async function copyRecord(t: TestContext): Promise<string> {
  base ??= makeRecord(t);
  const dir = newDir();
  cpSync(await base, dir, { recursive: true });
  return dir;
}

/** Changes the lines of a segment, which keep their newlines. */
function edit(dir: string, segment: string, change: (lines: string[]) => readonly string[]): void {
  const path = join(dir, 'audit', segment);
  writeFileSync(
    path,
    change(linesOf(path))
      .map((line) => `${line}\n`)
      .join(''),
  );
}

function places(problems: readonly { file: string; line: number | null }[]): string[] {
  return problems.map(({ file, line }) => `${file}:${line}`);
}

test('a record that nobody touched is whole', async (t) => {
  const dir = await copyRecord(t);
  const verification = await verify(dir);
  assert.deepEqual(verification.problems, []);
  assert.deepEqual(verification.notes, []);
  assert.partialDeepStrictEqual(verification, { ok: true, segments: 3, lines: 33 });
  assert.equal(verification.lastCheckpoint?.number, verification.checkpoints);
});

/** Line 8 of the second segment stands between two checkpoints. */
const LINE_8: readonly (readonly [string, (line: string) => string])[] = [
  ['a value', (line) => line.replace('api.example.com', 'api.example.org')],
  ['a key', (line) => line.replace('"host"', '"hist"')],
  ['a number', (line) => line.replace('"number":6', '"number":7')],
  ['a word', (line) => line.replace('true', 'null')],
  ['the type', (line) => line.replace('outcome', 'outcame')],
  ['the first byte', (line) => line.replace('{', '[')],
  ['a space that means nothing', (line) => line.replace('"number":', '"number": ')],
  ['the name of the chain field', (line) => line.replace('"chain"', '"chaim"')],
  [
    'the chain value',
    (line) => line.replace(/.("\}$)/, (_, end) => `${line.at(-3) === '0' ? '1' : '0'}${end}`),
  ],
  ['the last byte', (line) => line.replace(/\}$/, ']')],
  ['bytes behind the line', (line) => `${line} `],
];

for (const [what, change] of LINE_8) {
  test(`${what} was changed in a line: the line is named, and no other`, async (t) => {
    const dir = await copyRecord(t);
    edit(dir, SECOND, (lines) => lines.map((line, i) => (i === 7 ? change(line) : line)));
    const { ok, problems } = await verify(dir);
    assert.equal(ok, false);
    assert.deepEqual(places(problems), [`${SECOND}:8`]);
    const [{ after: older, before: newer } = {}] = problems;
    assert.ok(older && newer && older.number < newer.number, 'it stands between two checkpoints');
  });
}

const LINES: readonly (readonly [string, string, (lines: string[]) => readonly string[]])[] = [
  ['a line was removed', `${SECOND}:8`, (lines) => lines.toSpliced(7, 1)],
  ['several lines were removed', `${SECOND}:8`, (lines) => lines.toSpliced(7, 5)],
  ['a line was doubled', `${SECOND}:9`, (lines) => lines.toSpliced(8, 0, lines[7] as string)],
  [
    'a line of its own was inserted',
    `${SECOND}:9`,
    (lines) => lines.toSpliced(8, 0, '{"type":"outcome"}'),
  ],
  [
    'two lines were exchanged',
    `${SECOND}:8`,
    (lines) => lines.toSpliced(7, 2, lines[8] as string, lines[7] as string),
  ],
  ['the header was removed', `${SECOND}:1`, (lines) => lines.slice(1)],
  [
    'the header was changed',
    `${SECOND}:1`,
    (lines) => lines.with(0, (lines[0] as string).replace('tokyo', 'osaka')),
  ],
  ['the last line was removed', `${SECOND}:20`, (lines) => lines.slice(0, -1)],
  ['all lines were removed', `${SECOND}:0`, () => []],
  [
    'a newline was changed',
    `${SECOND}:8`,
    (lines) => lines.toSpliced(7, 2, `${lines[7]}x${lines[8]}`),
  ],
  [
    'the last line of a segment that was closed is followed by another',
    `${SECOND}:22`,
    (lines) => [...lines, append(lines)],
  ],
];

/** A line that continues the chain, as anybody can compute it. */
function append(lines: readonly string[]): string {
  const chain = /"chain":"(\w{64})"/.exec(lines.at(-1) as string)?.[1] as string;
  return new Chainer().chain(chain, ['{"type":"outcome"}\n']).bytes.toString().slice(0, -1);
}

for (const [what, place, change] of LINES) {
  test(`${what}: it is found and named`, async (t) => {
    const dir = await copyRecord(t);
    edit(dir, SECOND, change);
    const { problems } = await verify(dir);
    assert.equal(places(problems)[0], place, JSON.stringify(problems));
  });
}

test('a file that was cut, wherever, is found', async (t) => {
  const whole = readFileSync(join(await copyRecord(t), 'audit', THIRD));
  const lineEnd = whole.indexOf('\n', 900) + 1;
  for (const length of [0, 1, 100, lineEnd - 1, lineEnd, lineEnd + 40, whole.length - 1]) {
    const dir = await copyRecord(t);
    writeFileSync(join(dir, 'audit', THIRD), whole.subarray(0, length));
    const { problems, notes } = await verify(dir);
    assert.deepEqual(
      problems.map(({ file }) => file),
      [THIRD],
      `cut to ${length}`,
    );
    assert.match(problems[0]?.what as string, /its end was cut/);
    const isTorn = length > 0 && length !== lineEnd;
    assert.equal(
      notes.some(({ what }) => what.startsWith('a torn line')),
      isTorn,
    );
  }
});

test('lines that were replaced with a chain computed anew are found by the checkpoint', async (t) => {
  const dir = await copyRecord(t);
  edit(dir, SECOND, (lines) => {
    const plain = lines.map((line) => line.replace(/,"chain":"\w{64}"\}$/, '}\n'));
    plain[7] = (plain[7] as string).replace('api.example.com', 'api.example.org');
    return new Chainer().chain(null, plain).bytes.toString().split('\n').slice(0, -1);
  });
  const { problems } = await verify(dir);
  assert.deepEqual(places(problems), [`${SECOND}:21`]);
  assert.match(
    problems[0]?.what as string,
    /replaced, up to line 11, and the chain computed anew$/,
  );
});

test('a segment that was deleted is missing', async (t) => {
  for (const name of NAMES) {
    const dir = await copyRecord(t);
    rmSync(join(dir, 'audit', name));
    const { problems } = await verify(dir);
    assert.deepEqual(places(problems), [`${name}:null`]);
    assert.match(problems[0]?.what as string, /the segment is missing/);
  }
});

test('a segment that was renamed, copied or put there is found', async (t) => {
  const other = segmentName(NOON + DAY_MS + 5_000, 1);
  const renamed = await copyRecord(t);
  renameSync(join(renamed, 'audit', SECOND), join(renamed, 'audit', other));
  const copied = await copyRecord(t);
  cpSync(join(copied, 'audit', SECOND), join(copied, 'audit', other));
  for (const dir of [renamed, copied]) {
    const { problems } = await verify(dir);
    const ofOther = problems.filter(({ file }) => file === other).map(({ what }) => what);
    assert.match(
      ofOther.join(),
      /no checkpoint knows this segment.*the file was renamed or copied/,
    );
  }
});

const [ONE, ANOTHER] = [2, 3];
const STATEMENTS: readonly (readonly [string, (lines: string[]) => readonly string[], RegExp])[] = [
  [
    'changed',
    (lines) => lines.with(ONE, (lines[ONE] as string).replace(/"lines":\d+/, '"lines":7')),
    /^checkpoints.jsonl:3 .*signature/,
  ],
  [
    'signed with another key',
    (lines) => lines.with(ONE, forged(lines[ONE] as string, lines[ONE - 1] as string)),
    /^checkpoints.jsonl:3 it is signed with another key/,
  ],
  [
    'left without a signature',
    (lines) =>
      lines.with(
        ONE,
        (lines[ONE] as string).replace(
          /"key":"[^"]+","signature":"[^"]+"/,
          '"key":null,"signature":null',
        ),
      ),
    /^checkpoints.jsonl:3 it is not signed/,
  ],
  ['removed', (lines) => lines.toSpliced(ONE, 1), /^checkpoints.jsonl:3 it does not follow/],
  [
    'exchanged with another',
    (lines) => lines.toSpliced(ONE, 2, lines[ANOTHER] as string, lines[ONE] as string),
    /^checkpoints.jsonl:3 it does not follow/,
  ],
  ['made illegible', (lines) => lines.with(ONE, 'x'), /^checkpoints.jsonl:3 this is no checkpoint/],
  [
    'cut off the end',
    (lines) => lines.slice(0, -1),
    /^checkpoints.jsonl:null it ends with checkpoint \d+, and there is a copy/,
  ],
  [
    'taken away with all others',
    () => [],
    /^checkpoints.jsonl:null there is no checkpoint, and there is a copy/,
  ],
];

function forged(line: string, before: string): string {
  const { key, signature, ...statement } = JSON.parse(line);
  const previous = statementHash(before);
  return statementLine({ ...statement, previous }, generateKeyPairSync('ed25519').privateKey);
}

for (const [what, change, expected] of STATEMENTS) {
  test(`a checkpoint that was ${what} is found`, async (t) => {
    const dir = await copyRecord(t);
    edit(dir, 'checkpoints.jsonl', change);
    const { ok, problems } = await verify(dir);
    assert.equal(ok, false);
    const [problem] = problems;
    assert.match(`${problem?.file}:${problem?.line} ${problem?.what}`, expected);
  });
}

test('a history written anew with the stolen key does not fit the copies', async (t) => {
  const dir = await copyRecord(t);
  rmSync(join(dir, 'audit'), { recursive: true });
  await live(dir, 5, { ...at(0), checkpoint: { everyMs: 60_000, key: KEY, copyTo: undefined } });
  assert.deepEqual((await verify(dir, { anchors: undefined })).problems, [], 'in itself whole');
  const { problems } = await verify(dir);
  assert.match(problems.map(({ what }) => what).join(), /is not what its copy .* says/);
});

test('without a key or a checkpoint it says what is not proved', async (t) => {
  const signed = await copyRecord(t);
  const { ok, notes } = await verify(signed, { keys: [] });
  assert.equal(ok, true);
  assert.match(notes[0]?.what as string, /give the public key/);
  const plain = newDir();
  await live(plain, 3, { checkpoint: undefined });
  const unproved = await verify(plain, { keys: [], anchors: undefined });
  assert.equal(unproved.ok, true);
  assert.match(unproved.notes[0]?.what as string, /there is no checkpoint/);
  assert.equal(
    (await verify(plain, { anchors: undefined })).ok,
    false,
    'a key was given, nothing is signed',
  );
});

test('what a killed process left is told, and covered by the next checkpoint', async () => {
  const dir = newDir();
  mkdirSync(join(dir, 'copies'));
  const { writer, write } = await open(dir, at(0));
  await write(5);
  // As after SIGKILL: no closing checkpoint, a part of a line at the end.
  const killed = newDir();
  cpSync(dir, killed, { recursive: true });
  await writer.close();
  appendFileSync(join(killed, 'audit', FIRST), '{"type":"outc');
  await live(killed, 3, at(1));
  const { problems, notes } = await verify(killed);
  assert.deepEqual(problems, []);
  // The copy of a checkpoint may have been under way as well.
  const ofSegment = notes.filter(({ file }) => file === FIRST);
  assert.deepEqual(places(ofSegment), [`${FIRST}:7`]);
  assert.match(ofSegment[0]?.what as string, /^a torn line of 13 bytes/);
  // From then on its end is fixed.
  edit(killed, FIRST, (lines) => lines.slice(0, -1));
  assert.deepEqual(places((await verify(killed)).problems), [`${FIRST}:5`]);
});

test('a torn last checkpoint is removed by the next start', async () => {
  const dir = newDir();
  mkdirSync(join(dir, 'copies'));
  await live(dir, 2, at(0));
  appendFileSync(join(dir, 'audit', 'checkpoints.jsonl'), '{"type":"checkp');
  assert.match((await verify(dir)).notes[0]?.what as string, /^a torn line/);
  await live(dir, 2, at(1));
  const { ok, notes } = await verify(dir);
  assert.deepEqual([ok, notes], [true, []]);
});

test('a segment that expired leaves its end, and the chain over it holds', async (t) => {
  const dir = await copyRecord(t);
  await live(dir, 2, { ...at(3), keepMs: 1.2 * DAY_MS });
  assert.ok(!readdirSync(join(dir, 'audit')).includes(SECOND));
  const { problems, segments } = await verify(dir);
  assert.deepEqual([problems, segments], [[], 2]);
});

test('expiry is on record without a key as well', async () => {
  const dir = newDir();
  await live(dir, 2, { ...at(0), checkpoint: undefined });
  await live(dir, 2, { ...at(3), checkpoint: undefined, keepMs: DAY_MS });
  const { ok, segments } = await verify(dir, { keys: [], anchors: undefined });
  assert.deepEqual([ok, segments], [true, 1]);
});
