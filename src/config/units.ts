import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { PortRange } from './config.ts';
import { parsed } from './shape.ts';

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `5s`, `1m`, `12h`, `400d`, in milliseconds. @throws Fault */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (match !== null) return Number(match[1]) * (UNITS[match[2] as string] as number);
  throw new Fault(`${quote(text)} is not a duration`, 'write a number and ms, s, m, h or d: 30s');
}

// Beyond 2^31-1 ms a timer fires at once.
const MAX_TIMER_MS = 24 * 86_400_000;

/** A duration that a timer can wait. @throws Fault */
export function parseTimer(text: string): number {
  const ms = parseDuration(text);
  if (ms <= MAX_TIMER_MS) return ms;
  throw new Fault(`${quote(text)} is longer than a timer can wait`, 'write 24d or less');
}

/** A duration after which something is cut off. @throws Fault */
export function parseTimeout(text: string): number {
  const ms = parseTimer(text);
  if (ms > 0) return ms;
  throw new Fault(`${quote(text)} would cut everything off at once`, 'write more than 0');
}

const SIZES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `64KiB`, in bytes. @throws Fault */
export function parseSize(text: string): number {
  const match = /^(\d{1,6})(B|KiB|MiB|GiB)$/.exec(text);
  if (match !== null) return Number(match[1]) * (SIZES[match[2] as string] as number);
  throw new Fault(`${quote(text)} is not a size`, 'write a number and B, KiB, MiB or GiB: 64KiB');
}

/** `443` or `8000-8999`. @throws Fault */
export function parsePorts(text: string): PortRange {
  const match = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (first <= last && last <= 65535) return { first, last };
  throw new Fault(
    `${quote(text)} is not a port`,
    'write one from 1 to 65535, or a range in quotes: "8000-8999"',
  );
}

/** `2027-03-31`: the last millisecond of that day, UTC. @throws Fault */
export function parseLastDay(text: string): number {
  const start = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // Some engines take February 30th for March 2nd.
  if (!Number.isNaN(start) && new Date(start).toISOString().startsWith(text)) {
    return start + 86_400_000 - 1;
  }
  throw new Fault(`${quote(text)} is not a date`, 'write year-month-day: 2027-03-31');
}

export const port = z
  .union([z.string(), z.int()])
  .transform(String)
  .pipe(parsed(parsePorts, 'A port, or a range in quotes.'));
export const timer = parsed(parseTimer, 'A duration: 500ms, 5s, 1m, 12h, 1d.');
export const timeout = parsed(parseTimeout, 'A duration: 500ms, 5s, 1m, 12h, 1d.');
export const size = parsed(parseSize, 'A size: 512B, 64KiB, 1MiB.');
