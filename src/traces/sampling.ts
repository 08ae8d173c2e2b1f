import { randomFillSync } from 'node:crypto';
import { parseTraceparent, type SpanPlace } from '../core/trace-context.ts';

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const POOLED = 4096;
const WHOLE = 2 ** 32;

/**
 * Finds the place of an exchange in a trace. What its client decided holds; of traces that begin here, which have random
 * ids, so many are recorded.
 *
 * @param ratio from 0 to 1
 */
export function createPlaces(ratio: number): (traceparent: readonly string[]) => SpanPlace {
  const randomHex = makeRandomHex();
  return (traceparent) => {
    const parent = parseTraceparent(traceparent);
    const traceId = parent?.traceId ?? randomHex(TRACE_BYTES);
    const sampled = parent?.sampled ?? Number.parseInt(traceId.slice(0, 8), 16) < ratio * WHOLE;
    return { traceId, spanId: randomHex(SPAN_BYTES), parent, sampled };
  };
}

/** From a pool: filling it costs a system call. */
function makeRandomHex(): (bytes: number) => string {
  const pool = Buffer.alloc(POOLED);
  let used = POOLED;
  return (bytes) => {
    if (used + bytes > POOLED) {
      randomFillSync(pool);
      used = 0;
    }
    used += bytes;
    const hex = pool.toString('hex', used - bytes, used);
    // All zeros mean none (W3C Trace Context 3.2.2.3).
    return /[^0]/.test(hex) ? hex : hex.replace(/0$/, '1');
  };
}
