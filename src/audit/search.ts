import { open } from 'node:fs/promises';
import type { AuditEvent } from './event.ts';
import { LARGE_BLOCK_BYTES, readForward } from './lines.ts';
import { printable } from './printable.ts';
import { listSegments } from './segment-name.ts';

/** What must hold, all of it, for an event to be found. */
export interface AuditFilter {
  readonly types: readonly AuditEvent['type'][];
  readonly principal?: string | undefined;
  readonly destination?: DestinationFilter | undefined;
  readonly reason?: string | undefined;
  readonly effect?: 'allow' | 'deny' | undefined;
  /** Milliseconds since the epoch; both are included. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Anywhere in the event. */
  readonly text?: string | undefined;
}

export interface DestinationFilter {
  readonly host: string;
  /** Names below it as well. */
  readonly below: boolean;
  readonly port?: number | undefined;
}

/** A segment may get the lines of a turn that began before its end this much later. */
const LATE_MS = 60_000;

/**
 * Finds events in the segments of a directory, segment by segment. Lines are told by their bytes: almost none is decoded
 * that is not wanted.
 *
 * @yields blocks of lines, each whole, without their newlines
 */
export async function* searchAudit(dir: string, filter: AuditFilter): AsyncGenerator<string[]> {
  const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = filter;
  const matcher = new Matcher(filter);
  for (const { path, startedMs, endsMs } of await listSegments(dir)) {
    if (startedMs > untilMs || endsMs + LATE_MS < sinceMs) continue;
    await using file = await open(path, 'r');
    for await (const { bytes } of readForward(file, 0, LARGE_BLOCK_BYTES)) {
      const found = matcher.find(bytes);
      if (found.length > 0) yield found;
    }
  }
}

const NEWLINE = 0x0a;
const TIME_FIELD = Buffer.from('"time":"');
const TIME_LENGTH = '2026-11-23T05:10:00.123Z'.length;

class Matcher {
  /** What every wanted line holds, the rarest first: a quote inside a JSON string never stands without its backslash. */
  readonly #needles: readonly Buffer[];
  readonly #starts: readonly Buffer[];
  readonly #since: string;
  readonly #until: string;
  readonly #destination: RegExp | undefined;

  constructor(filter: AuditFilter) {
    const { types, principal, destination, reason, effect, text, sinceMs, untilMs } = filter;
    this.#needles = [
      text === undefined ? undefined : encoded(text).slice(1, -1),
      destination && encoded(destination.host).slice(1, -1),
      principal && `"principal":${encoded(principal)}`,
      reason && `"reason":${encoded(reason)}`,
      effect && `"effect":"${effect}"`,
    ].flatMap((needle) => (needle ? [Buffer.from(needle)] : []));
    this.#starts = types.map((type) => Buffer.from(`{"type":"${type}"`));
    this.#since = sinceMs === undefined ? '' : new Date(sinceMs).toISOString();
    this.#until = untilMs === undefined ? '~' : new Date(untilMs).toISOString();
    this.#destination = destination && destinationPattern(destination);
  }

  /** @param bytes whole lines */
  find(bytes: Buffer): string[] {
    const found: string[] = [];
    const [rarest] = this.#needles;
    for (let start = 0; start < bytes.length; ) {
      if (rarest !== undefined) {
        const hit = bytes.indexOf(rarest, start);
        if (hit < 0) break;
        start = bytes.lastIndexOf(NEWLINE, hit) + 1;
      }
      const end = bytes.indexOf(NEWLINE, start);
      const line = bytes.subarray(start, end);
      if (this.#takes(line)) found.push(line.toString());
      start = end + 1;
    }
    return found;
  }

  #takes(line: Buffer): boolean {
    if (!this.#starts.some((start) => start.compare(line, 0, start.length) === 0)) return false;
    if (!this.#needles.every((needle, i) => i === 0 || line.includes(needle))) return false;
    const time = line.indexOf(TIME_FIELD) + TIME_FIELD.length;
    const at = line.toString('latin1', time, time + TIME_LENGTH);
    if (at < this.#since || at > this.#until) return false;
    return this.#destination === undefined || this.#destination.test(line.toString());
  }
}

/** As the record writes text. */
function encoded(text: string): string {
  return printable(JSON.stringify(text));
}

/** The destination of the request: that of the class has no port. */
function destinationPattern({ host, below, port }: DestinationFilter): RegExp {
  const name = `${below ? '(?:[^":]+\\.)?' : ''}${host.replace(/[.[\]]/g, '\\$&')}`;
  return new RegExp(`"destination":"${name}:${port ?? '\\d+'}"`);
}
