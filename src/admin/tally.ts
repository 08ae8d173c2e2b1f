import { Counter, type CounterConfiguration } from 'prom-client';

/**
 * A counter for the path of an exchange: adding costs one look-up in a map. The library's own counters sort and join
 * their labels on every call; this one hands them over when the metrics are read.
 */
export class Tally<Label extends string> {
  readonly #cells = new Map<string, { readonly labels: Record<Label, string>; value: number }>();

  constructor(configuration: Omit<CounterConfiguration<Label>, 'collect'>) {
    const cells = this.#cells;
    new Counter<Label>({
      ...configuration,
      collect() {
        this.reset();
        for (const { labels, value } of cells.values()) this.inc(labels, value);
      },
    });
  }

  /** @param key tells cells apart as their labels do */
  add(key: string, amount: number, labels: () => Record<Label, string>): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { labels: labels(), value: amount });
    else cell.value += amount;
  }
}
