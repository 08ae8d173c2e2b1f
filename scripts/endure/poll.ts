import { setTimeout as wait } from 'node:timers/promises';

const EVERY_MS = 50;
const PATIENCE_MS = 120_000;

/** Asks until it holds: of other processes no event tells. @throws Error after two minutes */
export async function poll(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await wait(EVERY_MS);
  }
}
