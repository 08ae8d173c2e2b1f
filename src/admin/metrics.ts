import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
} from 'prom-client';
import type { RecordedEnd } from '../audit/recorder.ts';
import { Tally } from './tally.ts';

/** All metrics of one process. */
export type MetricSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** The text that Prometheus reads of several processes, their counts added up. */
export function joinSnapshots(snapshots: readonly MetricSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate([...snapshots]).metrics();
}

/** What two processes counted, added up; what they have now (gauges) is left out. */
export function addCounts(a: MetricSnapshot, b: MetricSnapshot): Promise<MetricSnapshot> {
  const counts = b.filter(({ type }) => String(type) !== 'gauge');
  return AggregatorRegistry.aggregate([a, counts]).getMetricsAsJSON();
}

/** What the parts of the gateway report, and the text that Prometheus reads. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #register = { registers: [this.#registry] };
  readonly #exchanges = new Tally({
    name: 'sekisho_exchanges_total',
    help: 'Exchanges that ended, by the decision that stands. principal is empty for nobody identified.',
    labelNames: ['listener', 'principal', 'effect', 'reason', 'mode'],
    ...this.#register,
  });
  readonly #troubles = new Tally({
    name: 'sekisho_outcome_errors_total',
    help: 'Exchanges that failed after they were decided on.',
    labelNames: ['listener', 'error'],
    ...this.#register,
  });
  readonly #bytes = new Tally({
    name: 'sekisho_bytes_total',
    help: 'Payload bytes of ended exchanges: up from clients, down to them.',
    labelNames: ['listener', 'direction'],
    ...this.#register,
  });
  readonly #lines = new Counter({
    name: 'sekisho_audit_lines_total',
    help: 'Lines written to the audit record.',
    ...this.#register,
  });
  readonly #linesLost = new Counter({
    name: 'sekisho_audit_lines_lost_total',
    help: 'Lines that could not be written to the audit record.',
    ...this.#register,
  });
  readonly #checkpointFailures = new Counter({
    name: 'sekisho_audit_checkpoint_failures_total',
    help: 'Checkpoints that were due and could not be written; the next one makes up for it.',
    ...this.#register,
  });
  readonly #checkpointCopyFailures = new Counter({
    name: 'sekisho_audit_checkpoint_copy_failures_total',
    help: 'Attempts to copy a checkpoint that failed; each is tried again.',
    ...this.#register,
  });
  readonly #squidLinesLost = new Counter({
    name: 'sekisho_squid_log_lines_lost_total',
    help: 'Lines that could not be written to a log in the format of Squid. The audit record has them.',
    ...this.#register,
  });
  readonly #suppressed = new Counter({
    name: 'sekisho_audit_refusals_suppressed_total',
    help: 'Refusals without a principal that the audit record counts instead of holding.',
    ...this.#register,
  });
  readonly #dials = new Histogram({
    name: 'sekisho_dial_seconds',
    help: 'Time to connect to a destination, or to give up.',
    labelNames: ['connected'],
    buckets: [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    ...this.#register,
  });
  readonly #tunnels = new Gauge({
    name: 'sekisho_open_tunnels',
    help: 'Tunnels that are passing bytes.',
    ...this.#register,
  });
  readonly #connections = new Gauge({
    name: 'sekisho_open_connections',
    help: 'Connections of clients.',
    labelNames: ['listener'],
    ...this.#register,
  });
  readonly #open = new Map<string, number>();
  readonly #rejections = new Counter({
    name: 'sekisho_connections_rejected_total',
    help: 'Connections closed before any request of theirs could be recorded.',
    labelNames: ['listener', 'rejection'],
    ...this.#register,
  });
  readonly #ownPages = new Counter({
    name: 'sekisho_own_pages_total',
    help: 'Requests for pages of the gateway itself that it answered; with an invalid identity they are exchanges.',
    labelNames: ['listener', 'status'],
    ...this.#register,
  });
  readonly #faults = new Counter({
    name: 'sekisho_faults_total',
    help: 'Faults of the gateway itself; its log has them.',
    ...this.#register,
  });
  readonly #policy = new Gauge({
    name: 'sekisho_policy_info',
    help: 'Always 1; the label is the digest of the policy in force.',
    labelNames: ['digest'],
    ...this.#register,
  });
  readonly #policyLoaded = new Gauge({
    name: 'sekisho_policy_loaded_timestamp_seconds',
    help: 'When the policy in force was loaded.',
    ...this.#register,
  });

  readonly #reloadsRefused = new Counter({
    name: 'sekisho_reloads_refused_total',
    help: 'Reloads that changed nothing, for a fault in the configuration; the log has it.',
    ...this.#register,
  });

  /** @param process tells the processes of a gateway apart where adding up makes no sense */
  constructor(process: string) {
    collectDefaultMetrics({ register: this.#registry, labels: { process } });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  snapshot(): Promise<MetricSnapshot> {
    return this.#registry.getMetricsAsJSON();
  }

  exchangeEnded({ listener, principal, decision, outcome }: RecordedEnd): void {
    // The names of a template's instances come from outside and know no bound.
    const who = principal?.template ?? principal?.name ?? '';
    const { effect = 'none', reason = 'none', mode = 'enforce' } = decision ?? {};
    this.#exchanges.add(`${listener} ${reason} ${effect} ${mode} ${who}`, 1, () => ({
      listener,
      principal: who,
      effect,
      reason,
      mode,
    }));
    const { error, bytesUp, bytesDown } = outcome;
    if (error !== null) this.#troubles.add(`${listener} ${error}`, 1, () => ({ listener, error }));
    this.#bytes.add(`${listener} up`, bytesUp, () => ({ listener, direction: 'up' }));
    this.#bytes.add(`${listener} down`, bytesDown, () => ({ listener, direction: 'down' }));
  }

  refusalSuppressed(): void {
    this.#suppressed.inc();
  }

  linesWritten(count: number): void {
    this.#lines.inc(count);
  }

  linesLost(count: number): void {
    this.#linesLost.inc(count);
  }

  checkpointFailed(): void {
    this.#checkpointFailures.inc();
  }

  checkpointCopyFailed(): void {
    this.#checkpointCopyFailures.inc();
  }

  squidLinesLost(lines: number): void {
    this.#squidLinesLost.inc(lines);
  }

  dialled(milliseconds: number, failed: boolean): void {
    this.#dials.observe({ connected: String(!failed) }, milliseconds / 1000);
  }

  tunnels(change: 1 | -1): void {
    this.#tunnels.inc(change);
  }

  connections(listener: string, open: number): void {
    this.#open.set(listener, open);
    this.#connections.set({ listener }, open);
  }

  /** Of all listeners. */
  get openConnections(): number {
    return [...this.#open.values()].reduce((sum, open) => sum + open, 0);
  }

  rejected(listener: string, rejection: string): void {
    this.#rejections.inc({ listener, rejection });
  }

  ownPage(listener: string, status: number): void {
    this.#ownPages.inc({ listener, status });
  }

  fault(): void {
    this.#faults.inc();
  }

  reloadRefused(): void {
    this.#reloadsRefused.inc();
  }

  policyLoaded(digest: string, timeMs: number): void {
    this.#policy.reset();
    this.#policy.set({ digest }, 1);
    this.#policyLoaded.set(timeMs / 1000);
  }

  /** Reads how the workers are whenever the metrics are read. */
  watchWorkers(states: () => readonly WorkerCounts[]): void {
    new Gauge({
      name: 'sekisho_workers',
      help: 'Worker processes by what they do.',
      labelNames: ['state'],
      ...this.#register,
      collect() {
        for (const state of WORKER_STATES) {
          this.set({ state }, states().filter((worker) => worker.state === state).length);
        }
      },
    });
    this.#count('sekisho_worker_restarts_total', 'Workers that died and were replaced.', () =>
      states().reduce((sum, { restarts }) => sum + restarts, 0),
    );
  }

  /** Reads the resolver's own counts whenever the metrics are read. */
  watchResolver(stats: () => ResolverCounts): void {
    this.#count('sekisho_dns_lookups_total', 'Names looked up in DNS.', () => stats().lookups);
    this.#count(
      'sekisho_dns_failures_total',
      'Lookups that DNS did not answer.',
      () => stats().failures,
    );
    this.#count(
      'sekisho_dns_cache_hits_total',
      'Names answered without a lookup of their own.',
      () => stats().hits,
    );
  }

  #count(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      ...this.#register,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}

const WORKER_STATES = ['starting', 'accepting', 'draining', 'backing-off'];

export interface WorkerCounts {
  readonly state: string;
  readonly restarts: number;
}

export interface ResolverCounts {
  readonly lookups: number;
  readonly failures: number;
  readonly hits: number;
}
