import { setTimeout as wait } from 'node:timers/promises';
import type { AuditEvent, DecisionEvent, OutcomeEvent } from './event.ts';
import { listSegments, type SegmentName } from './segment-name.ts';
import { lastLines, linesFrom, linesHolding, wholeLength } from './segment-reader.ts';

export interface TailRequest {
  /** How many of the events that are there already. */
  readonly last: number;
  /** Goes on with those to come, until the signal aborts. */
  readonly follow: AbortSignal | undefined;
  /** Only events of these types; undefined: all. */
  readonly types: readonly AuditEvent['type'][] | undefined;
}

export type ExchangeEvents = (DecisionEvent | OutcomeEvent)[];

/** The lines of exchanges that are still in somebody's memory. */
export interface Memory {
  /** Those of one exchange in the order in which they happened; empty when it is not known there. */
  find(id: string): readonly string[] | Promise<readonly string[]>;
}

const POLL_MS = 200;
/** How long after its end a segment may still receive the lines of a turn that began before. */
const LATE_MS = 60_000;
/** An exchange is decided on within this time of its beginning, or never. */
const DECIDED_WITHIN_MS = 60 * 60 * 1000;

/**
 * Reads the record where it is written: the segments of all workers in one directory.
 *
 * It reads files and nothing else, so it serves whichever process asks, and a slow reader holds nobody up, costs no
 * memory and loses nothing.
 */
export class AuditTrail {
  readonly #dir: string;
  readonly #memory: Memory;
  readonly #now: () => number;

  /** @param memory looked at before the files; it also knows refusals that were not written */
  constructor(dir: string, memory: Memory, now: () => number) {
    this.#dir = dir;
    this.#memory = memory;
    this.#now = now;
  }

  /** Lines without their newline: the last ones in order of time, then new ones as each worker writes them. */
  async *tail(request: TailRequest): AsyncGenerator<string> {
    const segments = await listSegments(this.#dir);
    const read = new Map<string, number>();
    for (const segment of segments) {
      const { path } = segment;
      read.set(path, this.#grows(segment) ? await wholeLength(path) : COMPLETE);
    }
    yield* await lastOf(segments, read, request);
    if (request.follow !== undefined) yield* this.#follow(read, request, request.follow);
  }

  async *#follow(
    read: Map<string, number>,
    request: TailRequest,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    const takes = takesTypes(request.types);
    while (!signal.aborted) {
      for (const segment of await listSegments(this.#dir)) {
        const from = read.get(segment.path) ?? 0;
        if (from === COMPLETE) continue;
        const grows = this.#grows(segment);
        for await (const { lines, end } of linesFrom(segment.path, from)) {
          read.set(segment.path, end);
          yield* lines.filter(takes);
        }
        if (!grows) read.set(segment.path, COMPLETE);
      }
      await wait(POLL_MS, undefined, { signal }).catch(endOfWait);
    }
  }

  #grows({ endsMs }: SegmentName): boolean {
    return this.#now() < endsMs + LATE_MS;
  }

  /** The events of one exchange in the order in which they happened; empty when the record has none. */
  async find(id: string): Promise<ExchangeEvents> {
    const remembered = parseEvents(await this.#memory.find(id));
    return remembered.length > 0 ? remembered : parseEvents(await this.#search(id));
  }

  /** From the id's time on: the decision stands near it, the outcome of a long tunnel days later. */
  async #search(id: string): Promise<string[]> {
    const began = timeOf(id);
    if (began === undefined) return [];
    const found: string[] = [];
    let pid: number | undefined;
    for (const segment of reaching(began, await listSegments(this.#dir))) {
      // One worker writes all of an exchange.
      if (pid !== undefined && segment.pid !== pid) continue;
      if (pid === undefined && segment.startedMs > began + DECIDED_WITHIN_MS) break;
      found.push(...(await linesHolding(segment.path, `"id":"${id}"`)));
      if (found.length > 0) pid = segment.pid;
      if (found.at(-1)?.startsWith(startOf('outcome'))) break;
    }
    return found;
  }
}

export function parseEvents(lines: readonly string[]): ExchangeEvents {
  return lines.filter(isWhole).map((line) => JSON.parse(line) as DecisionEvent | OutcomeEvent);
}

const COMPLETE = Number.POSITIVE_INFINITY;

/** The last events of all segments together. */
async function lastOf(
  segments: readonly SegmentName[],
  read: ReadonlyMap<string, number>,
  { last, types }: TailRequest,
): Promise<string[]> {
  if (last === 0) return [];
  let kept: { readonly time: string; readonly line: string }[] = [];
  for (const { path, endsMs } of segments.toReversed()) {
    const oldest = kept[0]?.time ?? '';
    if (kept.length >= last && oldest >= new Date(endsMs).toISOString()) break;
    const before = read.get(path) as number;
    const end = before === COMPLETE ? await wholeLength(path) : before;
    const lines = await lastLines(path, end, last, takesTypes(types));
    const timed = lines.map((line) => ({ time: timeIn(line), line }));
    kept = [...timed, ...kept].sort((a, b) => compare(a.time, b.time)).slice(-last);
  }
  return kept.map(({ line }) => line);
}

/** Leaves out segments that ended before a time, or whose worker had gone on to the next one by then. */
function reaching(time: number, segments: readonly SegmentName[]): SegmentName[] {
  return segments.filter(
    ({ endsMs, startedMs, pid }) =>
      endsMs > time &&
      !segments.some(
        (next) => next.pid === pid && next.startedMs > startedMs && next.startedMs <= time,
      ),
  );
}

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** When an exchange began, in milliseconds since the epoch; undefined for what is no exchange id. */
function timeOf(id: string): number | undefined {
  const match = UUID_V7.exec(id);
  return match === null ? undefined : Number.parseInt(`${match[1]}${match[2]}`, 16);
}

/** The type comes first in every line. */
function startOf(type: AuditEvent['type']): string {
  return `{"type":"${type}"`;
}

function takesTypes(types: TailRequest['types']): (line: string) => boolean {
  const starts = types?.map(startOf) ?? [''];
  return (line) => starts.some((start) => line.startsWith(start)) && isWhole(line);
}

/** A line that a failing disk cut short is no event. */
function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

const TIME = /"time":"([^"]+)"/;

function timeIn(line: string): string {
  return TIME.exec(line)?.[1] ?? '';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function endOfWait(error: Error): void {
  if (error.name !== 'AbortError') throw error;
}
