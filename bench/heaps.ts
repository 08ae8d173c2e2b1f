import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pidsOf } from './process-tree.ts';

const ASK_AGAIN_MS = 20;
const LIMIT_MS = 30_000;

/**
 * Has all processes of a gateway collect their garbage, which have `collect.js` loaded.
 *
 * @param dir of its site
 * @returns bytes that are alive in their heaps, or held by them elsewhere
 */
export async function collectGarbage(root: number, dir: string): Promise<number> {
  const pids = pidsOf(root);
  for (const pid of pids) rmSync(fileOf(dir, pid), { force: true });
  for (const pid of pids) process.kill(pid, 'SIGUSR2');
  const heaps = await Promise.all(pids.map((pid) => heapOf(dir, pid)));
  return heaps.reduce((sum, live) => sum + live, 0);
}

async function heapOf(dir: string, pid: number): Promise<number> {
  const limit = performance.now() + LIMIT_MS;
  while (!existsSync(fileOf(dir, pid))) {
    if (performance.now() > limit) throw new Error(`process ${pid} does not tell of its heap`);
    await wait(ASK_AGAIN_MS);
  }
  return (JSON.parse(readFileSync(fileOf(dir, pid), 'utf8')) as { live: number }).live;
}

function fileOf(dir: string, pid: number): string {
  return join(dir, `heap-${pid}.json`);
}
