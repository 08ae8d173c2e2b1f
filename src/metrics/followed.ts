import { listSeries } from './ranges.ts';
import { counter, gauge } from './series.ts';

/** How the list of a set stands that the gateway's own rules name. */
export interface FollowedCounts {
  readonly set: string;
  readonly standing: string;
  readonly networks: number;
  readonly token: string | null;
  /** ISO 8601, UTC. */
  readonly seenAt: string | null;
}

/** How the sets stand that the gateway's own rules name, and that follow published lists. */
export class FollowedMetrics {
  #lists: () => readonly FollowedCounts[] = () => [];
  readonly #refreshes = new Map<string, number>();
  readonly #failures = new Map<string, number>();

  watch(lists: () => readonly FollowedCounts[]): void {
    this.#lists = lists;
  }

  /** What a set holds is another thing than before. */
  refreshed(set: string): void {
    this.#refreshes.set(set, (this.#refreshes.get(set) ?? 0) + 1);
  }

  /** A look at a list that renewed nothing. */
  failed(set: string): void {
    this.#failures.set(set, (this.#failures.get(set) ?? 0) + 1);
  }

  get series() {
    const each = (value: (counts: FollowedCounts) => number) => () =>
      this.#lists().map((counts) => ({ labels: { set: counts.set }, value: value(counts) }));
    const seen = () =>
      this.#lists().flatMap(({ set, seenAt, token }) =>
        seenAt === null
          ? []
          : [
              {
                set,
                seenMs: Date.parse(seenAt),
                token: token === null ? undefined : BigInt(token),
              },
            ],
      );
    return [
      ...listSeries(seen),
      gauge(
        {
          name: 'sekisho_ranges_set_networks',
          help: 'Networks that a set of the gateway’s own rules holds.',
        },
        each(({ networks }) => networks),
      ),
      gauge(
        {
          name: 'sekisho_ranges_set_outdated',
          help: '1: the list of this set was not seen for longer than its maxAge.',
        },
        each(({ standing }) => (standing === 'current' ? 0 : 1)),
      ),
      gauge(
        {
          name: 'sekisho_ranges_set_closed',
          help: '1: nobody passes by this set, since its list is too old.',
        },
        each(({ standing }) => (standing === 'closed' ? 1 : 0)),
      ),
      counter(
        {
          name: 'sekisho_ranges_set_refreshes_total',
          help: 'How often a set came to hold something else, by its list.',
        },
        each(({ set }) => this.#refreshes.get(set) ?? 0),
      ),
      counter(
        {
          name: 'sekisho_ranges_set_failures_total',
          help: 'Looks at the list of a set that renewed nothing: not to be had, or refused; the log has why.',
        },
        each(({ set }) => this.#failures.get(set) ?? 0),
      ),
    ];
  }
}
