import type { About, Metric, Sample, Series } from './series.ts';

interface Cell extends Sample {
  value: number;
}

/**
 * A counter for the path of an exchange: adding costs one look-up in a map. The counters of prom-client sort and join
 * their labels on every call; here labels are made once, with the first.
 */
export class Tally<Label extends string> implements Series {
  readonly #about: About;
  readonly #cells = new Map<string, Cell>();

  constructor(about: About) {
    this.#about = about;
  }

  /** @param key tells cells apart as their labels do */
  add(key: string, amount: number, labels: () => Record<Label, string>): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { labels: labels(), value: amount });
    else cell.value += amount;
  }

  collect(): Metric {
    const values = Array.from(this.#cells.values(), (cell) => ({ ...cell }));
    return { ...this.#about, type: 'counter', aggregator: 'sum', values };
  }
}
