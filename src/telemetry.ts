import type { RecordedEnd, RecorderMeter } from './audit/recorder.ts';
import { destinationText } from './core/destination.ts';
import { Refusal } from './core/refusal.ts';
import type { InForce } from './in-force.ts';
import type { Logger } from './log.ts';
import type { WorkerMetrics } from './metrics/worker.ts';
import type { Traces } from './traces/otlp.ts';

/** What is told of exchanges to those who watch the gateway. */
export interface Telemetry extends RecorderMeter {
  /** Exports what is left, within a limit. */
  close(): Promise<void>;
}

export async function startTelemetry(
  inForce: InForce,
  { metrics, log }: { metrics: WorkerMetrics; log: Logger },
): Promise<Telemetry> {
  const traces = await tracesOf(inForce, metrics, log);
  return {
    ...(traces && { place: traces.place }),
    passed: (step, milliseconds) => metrics.exchanges.passed(step, milliseconds),
    exchangeEnded(end) {
      metrics.exchanges.ended(end);
      const { unmasked } = end.outcome;
      if (unmasked !== undefined)
        metrics.credentials.unmasked(end.decision?.settings?.credential ?? '', unmasked);
      traces?.ended(end);
      if (log.isLevelEnabled('debug')) log.debug(factsOf(end), 'exchange');
    },
    refusalSuppressed: () => metrics.record.refusalSuppressed(),
    close: async () => traces?.close(),
  };
}

/** For the log: no more of an exchange than its record has, and in one line. */
function factsOf({ id, conversation, principal, decision, outcome, durationMs }: RecordedEnd) {
  const { listener, action, destination } = conversation;
  return {
    exchange: id,
    listener,
    principal: principal?.name,
    action,
    destination: destination instanceof Refusal ? undefined : destinationText(destination),
    effect: decision?.effect,
    reason: decision?.reason,
    status: outcome.status,
    error: outcome.error,
    ms: Math.round(durationMs),
  };
}

async function tracesOf(
  { config, secret }: InForce,
  { traces: meter }: WorkerMetrics,
  log: Logger,
): Promise<Traces | undefined> {
  const { traces, gateway } = config;
  if (traces.otlp === undefined) return undefined;
  // Loaded by those alone who want it: it takes a fifth of a second and some 20 MiB.
  const { startTraces } = await import('./traces/otlp.ts');
  return startTraces(traces.otlp, { gateway: gateway.name, secret, meter, log });
}
