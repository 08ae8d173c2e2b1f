import { counter, gauge } from './series.ts';

/** How the export of spans gets on. */
export class TraceMetrics {
  #exported = 0;
  #lost = { full: 0, failed: 0, stopped: 0 };
  #failures = 0;
  #waiting = () => 0;

  get series() {
    return [
      counter(
        { name: 'sekisho_trace_spans_exported_total', help: 'Spans that the collector took.' },
        () => this.#exported,
      ),
      counter(
        {
          name: 'sekisho_trace_spans_lost_total',
          help: 'Spans that no collector got: the queue was full, their export failed, or the gateway stopped.',
        },
        () => Object.entries(this.#lost).map(([why, value]) => ({ labels: { why }, value })),
      ),
      counter(
        {
          name: 'sekisho_trace_export_failures_total',
          help: 'Exports that failed for good, each after its retries.',
        },
        () => this.#failures,
      ),
      gauge(
        { name: 'sekisho_trace_spans_waiting', help: 'Spans that wait for their export.' },
        () => this.#waiting(),
      ),
    ];
  }

  exported(spans: number): void {
    this.#exported += spans;
  }

  exportFailed(spans: number): void {
    this.#failures++;
    this.#lost.failed += spans;
  }

  /** Before any export was tried. */
  spansLost(spans: number, why: 'full' | 'stopped'): void {
    this.#lost[why] += spans;
  }

  watch(waiting: () => number): void {
    this.#waiting = waiting;
  }
}
