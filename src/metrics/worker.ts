import { ConnectionMetrics } from './connections.ts';
import { CredentialMetrics } from './credentials.ts';
import { DnsMetrics, type ResolverStats } from './dns.ts';
import { ExchangeMetrics } from './exchanges.ts';
import { ProcessMetrics } from './process.ts';
import { RecordMetrics, type Waiting } from './record.ts';
import { counter } from './series.ts';
import type { MetricSnapshot } from './snapshot.ts';
import { TraceMetrics } from './traces.ts';
import { type PoolStats, WayOutMetrics } from './ways-out.ts';

/** What a process counts that serves exchanges. All of it may be added up over several processes. */
export class WorkerMetrics {
  readonly exchanges = new ExchangeMetrics();
  readonly connections = new ConnectionMetrics();
  readonly waysOut = new WayOutMetrics();
  readonly dns = new DnsMetrics();
  readonly credentials = new CredentialMetrics();
  readonly record = new RecordMetrics();
  readonly traces = new TraceMetrics();
  readonly #process: ProcessMetrics;
  #faults = 0;

  /** @param process tells the processes of a gateway apart where adding up makes no sense */
  constructor(process: string) {
    this.#process = new ProcessMetrics(process);
  }

  /** Reads what these count themselves whenever the metrics are read. */
  watch(parts: {
    readonly resolver: { readonly stats: ResolverStats };
    readonly pool: { readonly stats: PoolStats };
    readonly writer: { readonly waiting: Waiting };
  }): void {
    this.dns.watch(() => parts.resolver.stats);
    this.waysOut.watchPool(() => parts.pool.stats);
    this.record.watch(() => parts.writer.waiting);
  }

  fault(): void {
    this.#faults++;
  }

  async snapshot(): Promise<MetricSnapshot> {
    const parts = [
      this.exchanges,
      this.connections,
      this.waysOut,
      this.dns,
      this.credentials,
      this.record,
      this.traces,
      this.#process,
    ];
    const series = [...parts.flatMap((part) => part.series), faults(() => this.#faults)];
    return series.map((one) => one.collect());
  }
}

/** Every process may have some. */
export function faults(read: () => number) {
  return counter(
    { name: 'sekisho_faults_total', help: 'Faults of the gateway itself; its log has them.' },
    read,
  );
}
