/**
 * Loaded first by the processes of a gateway whose heaps are looked at (`heaps.ts`): on SIGUSR2 a process collects its garbage and
 * writes what is left alive to a file of its own in `BENCH_DIR`. No TypeScript: what strips its types would be in that memory.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a collection lets go of may hold more, and is let go of by a task of its own. */
const COLLECTIONS = 3;
const BETWEEN_MS = 50;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

process.on('SIGUSR2', async () => {
  for (let i = 0; i < COLLECTIONS; i++) {
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    await wait(BETWEEN_MS);
  }
  const { heapUsed, external } = process.memoryUsage();
  const file = join(process.env.BENCH_DIR, `heap-${process.pid}.json`);
  writeFileSync(`${file}.new`, JSON.stringify({ live: heapUsed + external }));
  renameSync(`${file}.new`, file);
});
