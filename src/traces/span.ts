import { type Attributes, type HrTime, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type { RecordedEnd } from '../audit/recorder.ts';
import { hostText } from '../core/destination.ts';
import { exchangeTime } from '../core/exchange-id.ts';
import { Refusal } from '../core/refusal.ts';
import type { SpanPlace } from '../core/trace-context.ts';

const SCOPE = { name: 'sekisho' };
const SAMPLED = 1;

/** One exchange as OpenTelemetry has it. Holds no value of a header, no path and no query. */
export function spanOf(end: RecordedEnd, place: SpanPlace, resource: Resource): ReadableSpan {
  const beganMs = exchangeTime(end.id);
  const { traceId, spanId, parent } = place;
  return {
    name: end.conversation.action,
    kind: SpanKind.SERVER,
    spanContext: () => ({ traceId, spanId, traceFlags: SAMPLED }),
    ...(parent && {
      parentSpanContext: {
        traceId,
        spanId: parent.spanId,
        traceFlags: SAMPLED,
        isRemote: true,
      },
    }),
    startTime: hrTime(beganMs),
    endTime: hrTime(beganMs + end.durationMs),
    duration: hrTime(end.durationMs),
    ended: true,
    status: statusOf(end),
    attributes: attributesOf(end),
    events: end.steps.map(({ step, atMs }) => ({ name: step, time: hrTime(beganMs + atMs) })),
    links: [],
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Names of OpenTelemetry's semantic conventions where it has one, else our own. Absent values are left out. */
function attributesOf(end: RecordedEnd): Attributes {
  const { conversation, principal, decision, address, outcome } = end;
  const { listener, action, destination } = conversation;
  const to = destination instanceof Refusal ? undefined : destination;
  const known = {
    'http.request.method': action,
    'http.response.status_code': outcome.status ?? undefined,
    'error.type': outcome.error ?? undefined,
    'server.address': to && hostText(to.host),
    'server.port': to?.port,
    'network.peer.address': address?.text,
    'sekisho.exchange': end.id,
    'sekisho.listener': listener,
    'sekisho.principal': principal?.name,
    'sekisho.decision.effect': decision?.effect,
    'sekisho.decision.reason': decision?.reason,
    'sekisho.decision.mode': decision?.mode,
    'sekisho.decision.stage': decision?.stage,
    'sekisho.rule': decision?.rule,
    'sekisho.exit': decision?.settings?.via,
    'sekisho.bytes.up': outcome.bytesUp,
    'sekisho.bytes.down': outcome.bytesDown,
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}

/** A refusal is the gateway at its work, and no error (semantic conventions for HTTP servers: 4xx leaves it unset). */
function statusOf({ outcome: { status, error } }: RecordedEnd): ReadableSpan['status'] {
  if (error !== null) return { code: SpanStatusCode.ERROR, message: error };
  return { code: (status ?? 0) >= 500 ? SpanStatusCode.ERROR : SpanStatusCode.UNSET };
}

/** Seconds and nanoseconds. */
function hrTime(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1_000_000)];
}
