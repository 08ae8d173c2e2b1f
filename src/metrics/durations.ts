import type { About, Metric, Sample, Series } from './series.ts';

/** In milliseconds: from what a look-up in memory takes to where everybody has given up. */
const BOUNDS_MS: readonly number[] = [
  0.01, 0.05, 0.25, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
];

/**
 * A histogram for the path of an exchange, sibling of `Tally`: an observation is a walk over a dozen bounds and one
 * increment.
 */
export class Durations<Label extends string> implements Series {
  readonly #about: About;
  readonly #spreads = new Map<string, { labels: Record<Label, string>; spread: Spread }>();

  constructor(about: About) {
    this.#about = about;
  }

  /** The spread of these labels, to be kept by whoever observes often. Made with the first call. */
  of(key: string, labels: () => Record<Label, string>): Spread {
    let entry = this.#spreads.get(key);
    if (entry === undefined) {
      entry = { labels: labels(), spread: new Spread() };
      this.#spreads.set(key, entry);
    }
    return entry.spread;
  }

  collect(): Metric {
    const { name } = this.#about;
    const values = [...this.#spreads.values()].flatMap(({ labels, spread }) =>
      spread.samples(name, labels),
    );
    return { ...this.#about, type: 'histogram', aggregator: 'sum', values };
  }
}

/** How often it took how long. */
export class Spread {
  /** By the first bound that is not exceeded; behind the last bound, what exceeds all. */
  readonly #counts = new Float64Array(BOUNDS_MS.length + 1);
  #sumMs = 0;

  observe(milliseconds: number): void {
    let i = 0;
    while (i < BOUNDS_MS.length && milliseconds > (BOUNDS_MS[i] as number)) i++;
    (this.#counts[i] as number)++;
    this.#sumMs += milliseconds;
  }

  samples(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    let count = 0;
    const buckets = Array.from(this.#counts, (own, i) => {
      count += own;
      const bound = BOUNDS_MS[i];
      const le = bound === undefined ? '+Inf' : bound / 1000;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sumMs / 1000 },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
