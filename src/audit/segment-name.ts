import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of the record. No line in it is older than `startedMs`, and none is written to it from `endsMs` on. */
export interface SegmentName {
  readonly path: string;
  readonly startedMs: number;
  readonly endsMs: number;
  readonly pid: number;
}

const NAME = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2}\.\d{3})Z-(\d+)\.jsonl$/;

/** `20261123T051000.123Z-4711.jsonl`: ISO 8601 basic format, so that names sort by time and hold no colon. */
export function segmentName(timeMs: number, pid: number): string {
  return `${new Date(timeMs).toISOString().replace(/[-:]/g, '')}-${pid}.jsonl`;
}

/** The segments of a directory, oldest first. Files with other names are left alone. */
export async function listSegments(dir: string): Promise<SegmentName[]> {
  const names = await readdir(dir);
  return names
    .sort()
    .map((name) => parseSegmentName(dir, name))
    .filter((segment) => segment !== undefined);
}

function parseSegmentName(dir: string, name: string): SegmentName | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, pid] = match;
  const startedMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(startedMs)) return undefined;
  return { path: join(dir, name), startedMs, endsMs: nextMidnight(startedMs), pid: Number(pid) };
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** The first midnight after a time, UTC. */
export function nextMidnight(timeMs: number): number {
  return (Math.floor(timeMs / DAY_MS) + 1) * DAY_MS;
}
