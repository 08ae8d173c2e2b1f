import { AggregatorRegistry, Registry } from 'prom-client';

/** All metrics of one process. Survives being sent to another one. */
export type MetricSnapshot = readonly { readonly name: string; readonly type: unknown }[];

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** The text that Prometheus reads: what the processes have counted, added up. */
export function joinSnapshots(snapshots: readonly MetricSnapshot[]): Promise<string> {
  return added(snapshots).metrics();
}

/** What two processes counted, added up; what they have now (gauges) is left out. */
export function addCounts(a: MetricSnapshot, b: MetricSnapshot): Promise<MetricSnapshot> {
  return added([a, b.filter(({ type }) => type !== 'gauge')]).getMetricsAsJSON();
}

function added(snapshots: readonly MetricSnapshot[]) {
  return AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
}
