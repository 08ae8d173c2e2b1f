import { counter, gauge } from './series.ts';
import type { MetricSnapshot } from './snapshot.ts';

/** How one target stands. */
export interface TargetCounts {
  readonly target: string;
  readonly entries: number;
  /** When it was last found or made right, in milliseconds since the epoch. */
  readonly appliedMs: number | undefined;
  readonly changes: number;
  readonly failures: number;
}

/** How the list of one set stands. */
export interface ListCounts {
  readonly set: string;
  /** When it was last seen at its publisher, in milliseconds since the epoch. */
  readonly seenMs: number;
  readonly token: bigint | undefined;
}

/** When lists were last seen, and what they were then. */
export function listSeries(lists: () => readonly ListCounts[]) {
  return [
    gauge(
      {
        name: 'sekisho_ranges_list_timestamp_seconds',
        help: 'When the list of a set was last seen at its publisher.',
      },
      () => lists().map(({ set, seenMs }) => ({ labels: { set }, value: seenMs / 1000 })),
    ),
    gauge(
      {
        name: 'sekisho_ranges_list_token',
        help: 'The version of the list of a set as its publisher counts: AWS by seconds since the epoch.',
      },
      () =>
        lists().flatMap(({ set, token }) =>
          token === undefined ? [] : [{ labels: { set }, value: Number(token) }],
        ),
    ),
  ];
}

/** What `ranges watch` knows of its lists and targets. */
export class RangesMetrics {
  readonly #targets: () => readonly TargetCounts[];
  readonly #lists: () => readonly ListCounts[];

  constructor(targets: () => readonly TargetCounts[], lists: () => readonly ListCounts[]) {
    this.#targets = targets;
    this.#lists = lists;
  }

  snapshot(): MetricSnapshot {
    const each = (value: (counts: TargetCounts) => number) => () =>
      this.#targets().map((counts) => ({
        labels: { target: counts.target },
        value: value(counts),
      }));
    const applied = () => this.#targets().filter(({ appliedMs }) => appliedMs !== undefined);
    const series = [
      gauge(
        { name: 'sekisho_ranges_entries', help: 'Entries that a target holds for its sets.' },
        each(({ entries }) => entries),
      ),
      gauge(
        {
          name: 'sekisho_ranges_applied_timestamp_seconds',
          help: 'When a target was last found or made equal to its sets.',
        },
        () =>
          applied().map(({ target, appliedMs = 0 }) => ({
            labels: { target },
            value: appliedMs / 1000,
          })),
      ),
      ...listSeries(this.#lists),
      counter(
        {
          name: 'sekisho_ranges_changes_total',
          help: 'Entries that were added to a target, moved in it, or removed from it.',
        },
        each(({ changes }) => changes),
      ),
      counter(
        {
          name: 'sekisho_ranges_failures_total',
          help: 'Rounds in which a target did not become what its sets say; the log has why.',
        },
        each(({ failures }) => failures),
      ),
    ];
    return series.map((one) => one.collect());
  }
}
