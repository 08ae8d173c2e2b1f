import { randomBytes } from 'node:crypto';
import { type Decision, passes } from '../core/decision.ts';
import { exchangeId, ID_DIGITS, idStamp } from '../core/exchange-id.ts';
import type { Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import type { Step } from '../core/steps.ts';
import type { SpanPlace } from '../core/trace-context.ts';
import { type AuditEvent, eventLine, type OwnEvent } from './event.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { RefusalFlood } from './flood.ts';
import type { Ledger, Recorded, RecordedEnd, RecordSettings } from './ledger.ts';
import type { RecentExchanges } from './recent.ts';
import type { AuditWriter } from './writer.ts';

export type { ExchangeRecord } from './exchange-record.ts';
export type { RecordedEnd, RecordSettings } from './ledger.ts';

export interface RecorderMeter {
  /** The place of an exchange in a trace. Left out: there are no traces. */
  readonly place?: (traceparent: readonly string[]) => SpanPlace;
  passed(step: Step, milliseconds: number): void;
  exchangeEnded(end: RecordedEnd): void;
  refusalSuppressed(): void;
}

export interface RecorderOptions {
  /** The gateway's name. */
  readonly gateway: string;
  readonly writer: AuditWriter;
  readonly recent: Pick<RecentExchanges, 'add'>;
  readonly meter: RecorderMeter;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly elapsed: () => number;
  /** How many processes write the record of this gateway. */
  readonly writers: number;
}

/** Suppressed refusals are summed up this long after the first refusal, and every client begins anew. */
const FLOOD_WINDOW_MS = 60_000;

/** Puts every exchange on record. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #ledger: Ledger;
  readonly #newId = makeIds();
  readonly #flood: RefusalFlood;
  readonly #listeners: ((event: AuditEvent) => void)[] = [];
  #floodWindow: NodeJS.Timeout | undefined;
  #settings: RecordSettings;

  constructor(options: RecorderOptions, settings: RecordSettings) {
    const { gateway, recent, meter, now, elapsed } = options;
    this.#options = options;
    this.#settings = settings;
    this.#flood = new RefusalFlood(options.writers);
    this.#ledger = {
      gateway,
      time: makeClock(now),
      elapsed,
      admits: (decision, principal, client) => this.#admits(decision, principal, client),
      write: (id, line) => {
        recent.add(id, line);
        return this.#write(line);
      },
      remember: (id, line) => recent.add(id, line),
      place: meter.place,
      passed: (step, milliseconds) => meter.passed(step, milliseconds),
      ended: (end) => meter.exchangeEnded(end),
    };
  }

  /** What holds for exchanges that begin from now on. */
  adopt(settings: RecordSettings): void {
    this.#settings = settings;
    this.#options.writer.adopt(settings.policy);
  }

  begin(conversation: Recorded): ExchangeRecord {
    const id = this.#newId(this.#options.now());
    return new ExchangeRecord(id, conversation, this.#settings, this.#ledger);
  }

  /** Puts something on record that is no exchange. @throws Refusal `audit-unavailable` */
  note(event: OwnEvent): Promise<void> {
    return this.#write(eventLine(event));
  }

  /** Calls with every event, once it is on record. */
  onEvent(listener: (event: AuditEvent) => void): void {
    this.#listeners.push(listener);
  }

  /** Writes the sums of what was suppressed. To be called before the writer is closed. */
  close(): void {
    clearTimeout(this.#floodWindow);
    this.#summarise();
  }

  /** Refusals without a principal are counted beyond a burst, so that nobody unknown can fill the disk. */
  #admits(decision: Decision, principal: Principal | undefined, client: Ip): boolean {
    if (principal !== undefined || passes(decision)) return true;
    this.#floodWindow ??= setTimeout(() => this.#summarise(), FLOOD_WINDOW_MS).unref();
    if (this.#flood.admit(client, this.#options.now())) return true;
    this.#options.meter.refusalSuppressed();
    return false;
  }

  #summarise(): void {
    this.#floodWindow = undefined;
    const { gateway } = this.#options;
    const time = this.#ledger.time();
    for (const { client, count, ...span } of this.#flood.drain()) {
      const [from, to] = [isoTime(span.from), isoTime(span.to)];
      void this.#write(eventLine({ type: 'suppressed', time, gateway, client, count, from, to }));
    }
  }

  #write(line: string): Promise<void> {
    const written = this.#options.writer.write(line);
    if (this.#listeners.length > 0) {
      const tell = () => {
        const event = JSON.parse(line) as AuditEvent;
        for (const listener of this.#listeners) listener(event);
      };
      // A line that was not written is the writer's to tell.
      void written.then(tell, () => undefined);
    }
    return written;
  }
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** Tells the time as text, made anew once a millisecond at most. */
function makeClock(now: () => number): () => string {
  const text = oncePerTime(isoTime);
  return () => text(now());
}

function oncePerTime(tell: (time: number) => string): (time: number) => string {
  let at = Number.NaN;
  let text = '';
  return (time) => {
    if (time !== at) {
      at = time;
      text = tell(time);
    }
    return text;
  };
}

const POOLED_IDS = 400;

/** Exchange ids from a pool of random digits: filling it costs a system call. */
function makeIds(): (time: number) => string {
  const stamp = oncePerTime(idStamp);
  let pool = '';
  let used = 0;
  return (time) => {
    if (used + ID_DIGITS > pool.length) {
      pool = randomBytes((POOLED_IDS * ID_DIGITS) / 2).toString('hex');
      used = 0;
    }
    const id = exchangeId(stamp(time), pool, used);
    used += ID_DIGITS;
    return id;
  };
}
