import { setTimeout as wait } from 'node:timers/promises';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';

export interface SpanMeter {
  exported(spans: number): void;
  /** An export failed for good; its spans are lost. */
  exportFailed(spans: number): void;
  /** They were never tried. */
  spansLost(spans: number, why: 'full' | 'stopped'): void;
}

export interface SpanLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

export interface SpanQueueOptions {
  readonly exporter: SpanExporter;
  readonly meter: SpanMeter;
  readonly log: SpanLog;
}

/** As OpenTelemetry's own processors have them. */
const BATCH = 512;
const MOST_WAITING = 2_048;
const DELAY_MS = 1_000;
/** The exporter has a limit of its own, but not for an answer that drips. */
const GIVE_UP_MS = 15_000;
/** For what is left when the gateway stops. */
const LAST_EXPORTS_MS = 5_000;
/** `ExportResultCode.SUCCESS`. */
const SUCCESS = 0;

/**
 * Spans on their way to the collector: so many and no more, one batch after the other, whatever the collector does. Adding
 * one never waits.
 */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  #waiting: ReadableSpan[] = [];
  /** Handed to the exporter and not settled yet. */
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #exporting: Promise<void> | undefined;
  #failing = false;
  #closed = false;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.length + this.#underWay;
  }

  add(span: ReadableSpan): void {
    if (this.#closed) return this.#options.meter.spansLost(1, 'stopped');
    if (this.#waiting.length >= MOST_WAITING) return this.#options.meter.spansLost(1, 'full');
    this.#waiting.push(span);
    if (this.#waiting.length >= BATCH) void this.#exportAll();
    else this.#timer ??= setTimeout(() => void this.#exportAll(), DELAY_MS).unref();
  }

  /** Exports what is left, within a limit. */
  async close(): Promise<void> {
    this.#closed = true;
    const done = new AbortController();
    await Promise.race([
      this.#exportAll().finally(() => done.abort()),
      wait(LAST_EXPORTS_MS, undefined, { signal: done.signal }).catch(() => undefined),
    ]);
    const { meter, log } = this.#options;
    if (this.size === 0) return;
    log.warn({ lost: this.size }, 'the gateway stops with spans that no collector took');
    meter.spansLost(this.size, 'stopped');
    this.#waiting = [];
  }

  #exportAll(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#exporting ??= this.#exportBatches().finally(() => {
      this.#exporting = undefined;
    });
    return this.#exporting;
  }

  async #exportBatches(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      this.#underWay = batch.length;
      const error = await this.#export(batch);
      this.#underWay = 0;
      if (error === undefined) this.#succeed(batch.length);
      else this.#fail(batch.length, error);
    }
  }

  /** What went wrong; undefined: nothing. */
  #export(batch: ReadableSpan[]): Promise<Error | undefined> {
    return new Promise((settle) => {
      const giveUp = () => settle(new Error('no whole answer in time'));
      const timer = setTimeout(giveUp, GIVE_UP_MS).unref();
      this.#options.exporter.export(batch, ({ code, error }) => {
        clearTimeout(timer);
        settle(code === SUCCESS ? undefined : (error ?? new Error('the export failed')));
      });
    });
  }

  #succeed(spans: number): void {
    this.#options.meter.exported(spans);
    if (this.#failing) this.#options.log.info({}, 'traces are exported again');
    this.#failing = false;
  }

  /** Logged when it begins, counted while it lasts. */
  #fail(spans: number, error: Error): void {
    this.#options.meter.exportFailed(spans);
    if (!this.#failing) {
      // Not the error itself: it may hold what the collector answered.
      const { message, code } = error as Error & { code?: number | string };
      this.#options.log.warn({ why: message, code }, 'traces cannot be exported');
    }
    this.#failing = true;
  }
}
