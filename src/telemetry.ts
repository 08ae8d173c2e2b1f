import type { RecorderMeter } from './audit/recorder.ts';
import type { WorkerMetrics } from './metrics/worker.ts';

/** What is told of exchanges to those who watch the gateway. */
export interface Telemetry extends RecorderMeter {
  close(): Promise<void>;
}

export async function startTelemetry(
  _: unknown,
  { metrics }: { metrics: WorkerMetrics; log: unknown },
): Promise<Telemetry> {
  return {
    passed: (step, milliseconds) => metrics.exchanges.passed(step, milliseconds),
    exchangeEnded: (end) => metrics.exchanges.ended(end),
    refusalSuppressed: () => metrics.record.refusalSuppressed(),
    close: async () => {},
  };
}
