import { setTimeout as sleep } from 'node:timers/promises';
import { RangesError } from './ranges-error.ts';

/** What ranges take from this process; handed in, so that a test can differ. */
export interface RangesSurroundings {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** @throws AbortError */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

export const OWN_SURROUNDINGS: RangesSurroundings = {
  now: Date.now,
  random: Math.random,
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

const BASE_MS = 500;
const MOST_MS = 30_000;

/** How long to wait before a further try, counted from 0: anywhere up to a bound that doubles. */
export function backoffMs(tries: number, random: () => number): number {
  return Math.ceil(random() * Math.min(MOST_MS, BASE_MS * 2 ** tries));
}

/** What the operating system or a client says of a failure, in one line. */
export function reasonOf(error: unknown): string {
  const { message, code, cause } = error as NodeJS.ErrnoException & { cause?: unknown };
  if (cause instanceof Error && !(error instanceof RangesError)) return reasonOf(cause);
  return (message || code || String(error)).replace(/\s+/g, ' ');
}
