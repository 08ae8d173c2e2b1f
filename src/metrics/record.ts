import { Durations } from './durations.ts';
import { counter, gauge } from './series.ts';

export interface Waiting {
  readonly lines: number;
  readonly characters: number;
}

const NOTHING: Waiting = { lines: 0, characters: 0 };

/** How the record gets on. */
export class RecordMetrics {
  readonly #waits = new Durations<never>({
    name: 'sekisho_audit_write_seconds',
    help: 'How long lines waited until they were written, or synced under fsync: the first of each batch.',
  });
  readonly #wait = this.#waits.of('', () => ({}));
  #waiting = () => NOTHING;
  #written = 0;
  #lost = 0;
  #suppressed = 0;
  #squidLost = 0;

  get series() {
    return [
      this.#waits,
      counter(
        { name: 'sekisho_audit_lines_total', help: 'Lines written to the audit record.' },
        () => this.#written,
      ),
      counter(
        {
          name: 'sekisho_audit_lines_lost_total',
          help: 'Lines that could not be written to the audit record.',
        },
        () => this.#lost,
      ),
      counter(
        {
          name: 'sekisho_audit_refusals_suppressed_total',
          help: 'Refusals without a principal that the audit record counts instead of holding.',
        },
        () => this.#suppressed,
      ),
      gauge(
        { name: 'sekisho_audit_waiting_lines', help: 'Lines that are not written yet.' },
        () => this.#waiting().lines,
      ),
      gauge(
        { name: 'sekisho_audit_waiting_characters', help: 'Their characters.' },
        () => this.#waiting().characters,
      ),
      counter(
        {
          name: 'sekisho_squid_log_lines_lost_total',
          help: 'Lines that could not be written to a log in the format of Squid. The audit record has them.',
        },
        () => this.#squidLost,
      ),
    ];
  }

  linesWritten(count: number, waitedMs: number): void {
    this.#written += count;
    this.#wait.observe(waitedMs);
  }

  linesLost(count: number): void {
    this.#lost += count;
  }

  refusalSuppressed(): void {
    this.#suppressed++;
  }

  squidLinesLost(lines: number): void {
    this.#squidLost += lines;
  }

  watch(waiting: () => Waiting): void {
    this.#waiting = waiting;
  }
}
