import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CheckpointCopies } from './copies.ts';

function makeCopies(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'sekisho-copies-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const dir = join(root, 'copies');
  const told: string[] = [];
  const counted = { failed: 0 };
  const copies = new CheckpointCopies({
    dir,
    log: { info: (_, text) => void told.push(text), error: (_, text) => void told.push(text) },
    failed: () => {
      counted.failed++;
    },
  });
  return { copies, dir, told, counted };
}

function copy(number: number) {
  return { number, time: '2026-11-23T05:10:00.123Z', line: `checkpoint ${number}` };
}

const name = (number: number) => `20261123T051000.123Z-${number}.json`;

test('each checkpoint becomes a file of its own', async (t) => {
  const { copies, dir } = makeCopies(t);
  await mkdir(dir);
  for (const number of [1, 2]) {
    copies.add(copy(number));
    await copies.flush();
  }
  assert.deepEqual((await readdir(dir)).sort(), [name(1), name(2)]);
  assert.equal(await readFile(join(dir, name(2)), 'utf8'), 'checkpoint 2\n');
});

test('what cannot be copied waits, is told once and counted each time', async (t) => {
  const { copies, dir, told, counted } = makeCopies(t);
  for (const number of [1, 2, 3]) {
    copies.add(copy(number));
    await copies.flush();
  }
  assert.deepEqual([told, counted.failed], [['checkpoints cannot be copied'], 3]);
  await mkdir(dir);
  await copies.flush();
  assert.equal((await readdir(dir)).length, 3);
  assert.deepEqual(told, ['checkpoints cannot be copied', 'checkpoints are copied again']);
});

test('no more than sixty wait: the newest vouch for the others', async (t) => {
  const { copies, dir } = makeCopies(t);
  for (let number = 1; number <= 70; number++) copies.add(copy(number));
  await mkdir(dir);
  await copies.flush();
  const names = await readdir(dir);
  assert.deepEqual(
    [names.length, names.includes(name(10)), names.includes(name(11))],
    [60, false, true],
  );
});

test('a file that is there is never written again', async (t) => {
  const { copies, dir, counted } = makeCopies(t);
  await mkdir(dir);
  await writeFile(join(dir, name(1)), 'half of a che');
  copies.add(copy(1));
  await copies.flush();
  await copies.flush();
  assert.equal(counted.failed, 1);
  assert.equal(await readFile(join(dir, name(1)), 'utf8'), 'half of a che');
  assert.equal(
    await readFile(join(dir, name(1).replace('.json', '.2.json')), 'utf8'),
    'checkpoint 1\n',
  );
});
