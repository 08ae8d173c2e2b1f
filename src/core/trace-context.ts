/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/), as much of it as a gateway needs: whose trace an exchange
 * belongs to, and what a request says of that when it goes on.
 */
export interface TraceParent {
  /** 32 lower-case hexadecimal digits, not all of them 0. */
  readonly traceId: string;
  /** 16 of them: the span that the next one hangs below. */
  readonly spanId: string;
  readonly sampled: boolean;
}

/** The place of an exchange in a trace. */
export interface SpanPlace extends TraceParent {
  /** undefined: the trace begins here. */
  readonly parent: TraceParent | undefined;
}

/** What a request takes on in place of the trace context that it came with. */
export interface OnwardTrace {
  readonly traceparent: string;
  /** Whether the `tracestate` that came still belongs to it. */
  readonly keepsState: boolean;
}

const VERSION_0 = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
// Section 3.2.4: what a later version adds stands behind another dash; version ff is forbidden.
const LATER = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const ZEROS = /^0+$/;
const SAMPLED = 0x01;

/**
 * @param values every `traceparent` field of a request
 * @returns undefined unless there is exactly one and it is valid: then the trace begins anew (section 3.2.3)
 */
export function parseTraceparent(values: readonly string[]): TraceParent | undefined {
  const [text] = values;
  if (text === undefined || values.length !== 1) return undefined;
  const [, traceId, spanId, flags] = (text.startsWith('00') ? VERSION_0 : LATER).exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** undefined: the request keeps what it came with, since nobody records a span that could stand between. */
export function onwardTrace(place: SpanPlace): OnwardTrace | undefined {
  if (place.parent !== undefined && !place.sampled) return undefined;
  const { traceId, spanId, sampled, parent } = place;
  return {
    traceparent: `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`,
    keepsState: parent !== undefined,
  };
}
