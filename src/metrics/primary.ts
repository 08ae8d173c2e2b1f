import { FollowedMetrics } from './followed.ts';
import { ProcessMetrics } from './process.ts';
import { RecordMetrics } from './record.ts';
import { counter, gauge } from './series.ts';
import type { MetricSnapshot } from './snapshot.ts';
import { faults } from './worker.ts';

/** What ends on its own, by name: in milliseconds since the epoch. */
export interface Endings {
  readonly certificates: readonly { readonly name: string; readonly endsMs: number }[];
  readonly credentials: readonly {
    readonly name: string;
    readonly expiresMs: number | undefined;
  }[];
}

const WORKER_STATES = ['starting', 'accepting', 'draining', 'backing-off'];

export interface WorkerCounts {
  readonly state: string;
  readonly restarts: number;
}

/** What only one process of a gateway knows: its policy, reloads, checkpoints. */
export class PrimaryMetrics {
  /** For what it puts on record itself. */
  readonly record = new RecordMetrics();
  readonly lists = new FollowedMetrics();
  readonly #startedMs: number;
  readonly #version: string;
  readonly #process = new ProcessMetrics('primary');
  #workers: () => readonly WorkerCounts[] = () => [];
  #endings: () => Endings = () => ({ certificates: [], credentials: [] });
  #policy: { readonly digest: string; readonly loadedMs: number } | undefined;
  #checkpointMs: number | undefined;
  readonly #counts = { reloads: 0, refused: 0, checkpoints: 0, copies: 0, faults: 0 };

  /** @param nowMs milliseconds since the epoch */
  constructor(version: string, nowMs: number) {
    this.#version = version;
    this.#startedMs = nowMs;
  }

  watchWorkers(states: () => readonly WorkerCounts[]): void {
    this.#workers = states;
  }

  watchEndings(endings: () => Endings): void {
    this.#endings = endings;
  }

  policyLoaded(digest: string, nowMs: number): void {
    this.#policy = { digest, loadedMs: nowMs };
  }

  reloaded(): void {
    this.#counts.reloads++;
  }

  reloadRefused(): void {
    this.#counts.refused++;
  }

  /** All that was written so far is covered by a checkpoint. */
  checkpointTaken(nowMs: number): void {
    this.#checkpointMs = nowMs;
  }

  checkpointFailed(): void {
    this.#counts.checkpoints++;
  }

  checkpointCopyFailed(): void {
    this.#counts.copies++;
  }

  fault(): void {
    this.#counts.faults++;
  }

  async snapshot(): Promise<MetricSnapshot> {
    const series = [
      ...this.record.series,
      ...this.#process.series,
      ...this.#workerSeries(),
      ...this.#policySeries(),
      ...this.#checkpointSeries(),
      ...this.#endingSeries(),
      ...this.lists.series,
      faults(() => this.#counts.faults),
      gauge(
        { name: 'sekisho_build_info', help: 'Always 1; the labels say what is running.' },
        () => [{ labels: { version: this.#version, node: process.versions.node }, value: 1 }],
        'max',
      ),
      gauge(
        { name: 'sekisho_started_timestamp_seconds', help: 'When the gateway was started.' },
        () => this.#startedMs / 1000,
        'max',
      ),
    ];
    return series.map((one) => one.collect());
  }

  #workerSeries() {
    const states = () => this.#workers();
    return [
      gauge({ name: 'sekisho_workers', help: 'Worker processes by what they do.' }, () =>
        WORKER_STATES.map((state) => ({
          labels: { state },
          value: states().filter((worker) => worker.state === state).length,
        })),
      ),
      counter(
        { name: 'sekisho_worker_restarts_total', help: 'Workers that died and were replaced.' },
        () => states().reduce((sum, { restarts }) => sum + restarts, 0),
      ),
    ];
  }

  #policySeries() {
    const policy = this.#policy;
    return [
      gauge(
        {
          name: 'sekisho_policy_info',
          help: 'Always 1; the label is the digest of the policy in force.',
        },
        () => (policy === undefined ? [] : [{ labels: { digest: policy.digest }, value: 1 }]),
        'max',
      ),
      gauge(
        {
          name: 'sekisho_policy_loaded_timestamp_seconds',
          help: 'When the policy in force was loaded.',
        },
        () => seconds(policy?.loadedMs),
        'max',
      ),
      counter(
        { name: 'sekisho_reloads_total', help: 'Reloads that put a configuration in force.' },
        () => this.#counts.reloads,
      ),
      counter(
        {
          name: 'sekisho_reloads_refused_total',
          help: 'Reloads that changed nothing, for a fault in the configuration; the log has it.',
        },
        () => this.#counts.refused,
      ),
    ];
  }

  #endingSeries() {
    const { certificates, credentials } = this.#endings();
    return [
      gauge(
        {
          name: 'sekisho_certificate_expiry_timestamp_seconds',
          help: 'When a certificate that the gateway shows ends, or the first of its chain.',
        },
        () =>
          certificates.map(({ name, endsMs }) => ({
            labels: { certificate: name },
            value: endsMs / 1000,
          })),
        'max',
      ),
      gauge(
        {
          name: 'sekisho_credential_expiry_timestamp_seconds',
          help: 'The end of the last day of a credential, as the configuration has it.',
        },
        () =>
          credentials.flatMap(({ name, expiresMs }) =>
            expiresMs === undefined
              ? []
              : [{ labels: { credential: name }, value: Math.floor(expiresMs / 1000) }],
          ),
        'max',
      ),
    ];
  }

  #checkpointSeries() {
    return [
      gauge(
        {
          name: 'sekisho_audit_checkpoint_timestamp_seconds',
          help: 'When all that was written so far was last known to be covered by a checkpoint.',
        },
        () => seconds(this.#checkpointMs),
        'max',
      ),
      counter(
        {
          name: 'sekisho_audit_checkpoint_failures_total',
          help: 'Checkpoints that were due and could not be written; the next one makes up for it.',
        },
        () => this.#counts.checkpoints,
      ),
      counter(
        {
          name: 'sekisho_audit_checkpoint_copy_failures_total',
          help: 'Attempts to copy a checkpoint that failed; each is tried again.',
        },
        () => this.#counts.copies,
      ),
    ];
  }
}

/** No sample before there is a time to tell. */
function seconds(ms: number | undefined) {
  return ms === undefined ? [] : ms / 1000;
}
