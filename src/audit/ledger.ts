import type { AuditConfig } from '../config/config.ts';
import type { Conversation, Outcome } from '../core/conversation.ts';
import type { Decision } from '../core/decision.ts';
import type { Cidr, Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import type { Step } from '../core/steps.ts';
import type { SpanPlace } from '../core/trace-context.ts';

/** What a record takes from a conversation. */
export type Recorded = Pick<
  Conversation<unknown>,
  'listener' | 'client' | 'peer' | 'action' | 'destination' | 'request' | 'protocol' | 'traceparent'
>;

/** What a reload changes. An exchange keeps what held when it began. */
export interface RecordSettings {
  /** The policy's digest: `sha256:…`. */
  readonly policy: string;
  /** The networks that count as internal. */
  readonly owned: readonly Cidr[];
  readonly onFailure: AuditConfig['onFailure'];
}

/** One exchange at its end. */
export interface RecordedEnd {
  readonly id: string;
  readonly conversation: Recorded;
  readonly principal: Principal | undefined;
  /** The one that stands; undefined when the exchange broke before any. */
  readonly decision: Decision | undefined;
  /** The address that was dialled, or would have been. */
  readonly address: Ip | undefined;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** Its place in a trace, and when its steps ended where that is told. */
  readonly span: SpanPlace | undefined;
  readonly steps: readonly StepEnd[];
}

/** In milliseconds from the beginning of the exchange. */
export interface StepEnd {
  readonly step: Step;
  readonly atMs: number;
}

/** What the record of an exchange is written into. */
export interface Ledger {
  readonly gateway: string;
  /** The time of day: ISO 8601, UTC. */
  time(): string;
  /** Milliseconds of a clock that nobody sets. */
  elapsed(): number;
  /** Whether an exchange with this first decision is written, or merely counted. */
  admits(decision: Decision, principal: Principal | undefined, client: Ip): boolean;
  /** @throws Refusal `audit-unavailable` */
  write(id: string, line: string): Promise<void>;
  /** Remembers a line that is not written. */
  remember(id: string, line: string): void;
  /** Finds the place of an exchange in a trace; undefined where there are none. */
  readonly place: ((traceparent: readonly string[]) => SpanPlace) | undefined;
  passed(step: Step, milliseconds: number): void;
  ended(end: RecordedEnd): void;
}
