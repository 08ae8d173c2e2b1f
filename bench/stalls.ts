/**
 * Loaded into each process of a gateway (`--import`), tells how long its event loop stood still: ten times a second, a line
 * of its process id and milliseconds goes to the file `stalls` in the folder that BENCH_DIR names.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const RESOLUTION_MS = 1;
const EVERY_MS = 100;

const dir = process.env.BENCH_DIR;
if (dir !== undefined && isMainThread) {
  const file = join(dir, 'stalls');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  setInterval(() => {
    appendFileSync(file, `${process.pid} ${Math.max(0, delay.max / 1e6 - RESOLUTION_MS)}\n`);
    delay.reset();
  }, EVERY_MS).unref();
}
