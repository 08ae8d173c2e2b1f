import { BoundedLabel } from './bounded-label.ts';
import { Durations, type Spread } from './durations.ts';
import { counter, gauge } from './series.ts';

/** More exits than this share one label. */
const MOST_EXITS = 100;

/** As `HttpPool` keeps them. */
export interface PoolStats {
  /** In HTTP/1 alone. */
  readonly kept: number;
  /** Those in HTTP/2, be it that they are in use. */
  readonly sessions: number;
  /** Exchanges under way on these. */
  readonly streams: number;
  readonly reused: number;
  readonly missed: number;
  readonly discarded: number;
}

const NO_POOL: PoolStats = {
  kept: 0,
  sessions: 0,
  streams: 0,
  reused: 0,
  missed: 0,
  discarded: 0,
};

/** The way to destinations: dials, kept connections, tunnels. */
export class WayOutMetrics {
  readonly #dials = new Durations<'exit' | 'outcome'>({
    name: 'sekisho_dial_seconds',
    help: 'Time to connect to a destination, or to give up. exit is empty where the rule names none.',
  });
  /** By exit, then by outcome. */
  readonly #outcomes = new Map<string, Map<string, Spread>>();
  readonly #exits = new BoundedLabel(MOST_EXITS);
  #tunnels = 0;
  #pool = () => NO_POOL;
  #native = 'none';

  get series() {
    const pool = () => this.#pool();
    return [
      this.#dials,
      gauge(
        {
          name: 'sekisho_native_tunnel',
          help: '1 where the native part passes the bytes of tunnels, 0 where JavaScript does. addon: built, prebuilt or none.',
        },
        () => [{ labels: { addon: this.#native }, value: this.#native === 'none' ? 0 : 1 }],
        'max',
      ),
      gauge(
        { name: 'sekisho_open_tunnels', help: 'Tunnels that are passing bytes.' },
        () => this.#tunnels,
      ),
      gauge(
        {
          name: 'sekisho_pool_connections',
          help: 'Connections to destinations kept for reuse; in HTTP/2 they are in use meanwhile.',
        },
        () => [
          { labels: { protocol: 'http/1' }, value: pool().kept },
          { labels: { protocol: 'h2' }, value: pool().sessions },
        ],
      ),
      gauge(
        {
          name: 'sekisho_pool_streams',
          help: 'Exchanges under way on connections to destinations in HTTP/2 that take more of them.',
        },
        () => pool().streams,
      ),
      counter(
        {
          name: 'sekisho_pool_requests_total',
          help: 'Requests that took a kept connection (reused), or found none (missed).',
        },
        () => [
          { labels: { found: 'reused' }, value: pool().reused },
          { labels: { found: 'missed' }, value: pool().missed },
        ],
      ),
      counter(
        {
          name: 'sekisho_pool_discarded_total',
          help: 'Connections that were not kept, or not kept any longer: the pool was full, they were idle too long, or the destination closed them.',
        },
        () => pool().discarded,
      ),
    ];
  }

  /** @param exit of the rule; undefined: none @param outcome `connected`, or the trouble */
  dialled(exit: string | undefined, milliseconds: number, outcome: string): void {
    const by = this.#exits.of(exit ?? '');
    const spread = this.#outcomes.get(by)?.get(outcome) ?? this.#begin(by, outcome);
    spread.observe(milliseconds);
  }

  now(): number {
    return performance.now();
  }

  tunnels(change: 1 | -1): void {
    this.#tunnels += change;
  }

  #begin(exit: string, outcome: string): Spread {
    const spread = this.#dials.of(`${exit} ${outcome}`, () => ({ exit, outcome }));
    const outcomes = this.#outcomes.get(exit) ?? new Map<string, Spread>();
    this.#outcomes.set(exit, outcomes.set(outcome, spread));
    return spread;
  }

  /** @param origin of the native part; undefined: there is none */
  nativeTunnel(origin: 'built' | 'prebuilt' | undefined): void {
    this.#native = origin ?? 'none';
  }

  watchPool(stats: () => PoolStats): void {
    this.#pool = stats;
  }
}
