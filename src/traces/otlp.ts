import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { RecordedEnd } from '../audit/recorder.ts';
import type { OtlpConfig, SecretRef } from '../config/config.ts';
import type { Secret } from '../core/secret.ts';
import type { SpanPlace } from '../core/trace-context.ts';
import { createPlaces } from './sampling.ts';
import { spanOf } from './span.ts';
import { type SpanLog, type SpanMeter, SpanQueue } from './span-queue.ts';

export interface TracesOptions {
  /** The gateway's name. */
  readonly gateway: string;
  readonly secret: (ref: SecretRef) => Secret;
  readonly meter: SpanMeter & { watch(waiting: () => number): void };
  readonly log: SpanLog;
}

export interface Traces {
  place(traceparent: readonly string[]): SpanPlace;
  ended(end: RecordedEnd): void;
  close(): Promise<void>;
}

/** For one export with all its retries. */
const EXPORT_MS = 5_000;

/** One span for each exchange, sent to a collector over OTLP. */
export function startTraces({ url, headers, ratio }: OtlpConfig, options: TracesOptions): Traces {
  const { gateway, secret, meter, log } = options;
  const revealed = Array.from(headers, ([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : secret(value).reveal(),
  ]);
  const exporter = new OTLPTraceExporter({
    url,
    headers: Object.fromEntries(revealed),
    timeoutMillis: EXPORT_MS,
  });
  const resource = resourceFromAttributes({
    'service.name': 'sekisho',
    'service.instance.id': gateway,
    'process.pid': process.pid,
  });
  const queue = new SpanQueue({ exporter, meter, log });
  meter.watch(() => queue.size);
  return {
    place: createPlaces(ratio),
    ended(end) {
      if (end.span?.sampled === true) queue.add(spanOf(end, end.span, resource));
    },
    close: () => queue.close(),
  };
}
