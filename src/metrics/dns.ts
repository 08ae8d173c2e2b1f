import { Durations } from './durations.ts';
import { counter, gauge } from './series.ts';

/** As a resolver keeps them. */
export interface ResolverStats {
  readonly hits: number;
  readonly inFlight: number;
  readonly kept: number;
}

const NO_RESOLVER: ResolverStats = { hits: 0, inFlight: 0, kept: 0 };

export class DnsMetrics {
  readonly #lookups = new Durations<'outcome'>({
    name: 'sekisho_dns_lookup_seconds',
    help: 'Time to look a name up in DNS. no-address is an answer; failed: there was none.',
  });
  #resolver = () => NO_RESOLVER;

  get series() {
    return [
      this.#lookups,
      counter(
        {
          name: 'sekisho_dns_cache_hits_total',
          help: 'Names answered without a lookup of their own.',
        },
        () => this.#resolver().hits,
      ),
      gauge(
        { name: 'sekisho_dns_lookups_in_flight', help: 'Names that are being looked up.' },
        () => this.#resolver().inFlight,
      ),
      gauge(
        { name: 'sekisho_dns_cache_names', help: 'Names whose answer is kept.' },
        () => this.#resolver().kept,
      ),
    ];
  }

  lookedUp(milliseconds: number, outcome: string): void {
    this.#lookups.of(outcome, () => ({ outcome })).observe(milliseconds);
  }

  watch(stats: () => ResolverStats): void {
    this.#resolver = stats;
  }
}
