/** One metric as it stands: what is added up over the processes of a gateway, and then told. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** How the values of several processes become one. */
  readonly aggregator: 'sum' | 'max';
  readonly values: readonly Sample[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it is not the metric's own: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string;
}

export interface About {
  readonly name: string;
  readonly help: string;
}

/** Something that is counted while the gateway works, and made a metric of when somebody asks. */
export interface Series {
  collect(): Metric;
}

/** A number that is kept elsewhere, or one for each set of labels. */
type Reading = () => number | readonly Sample[];

export function counter(about: About, read: Reading): Series {
  return { collect: () => ({ ...about, type: 'counter', aggregator: 'sum', values: told(read) }) };
}

/** @param aggregator of numbers that several processes have: `max` where a sum would say nothing */
export function gauge(about: About, read: Reading, aggregator: 'sum' | 'max' = 'sum'): Series {
  return { collect: () => ({ ...about, type: 'gauge', aggregator, values: told(read) }) };
}

function told(read: Reading): readonly Sample[] {
  const value = read();
  return typeof value === 'number' ? [{ labels: {}, value }] : value;
}
