import type { Reason } from './reasons.ts';

/** Where on the path a decision fell. */
export type Stage = 'accept' | 'identify' | 'name' | 'address' | 'hello' | 'request' | 'grant';

/** How a rule wants an exchange to pass. */
export interface Settings {
  /** The exit to leave by; undefined: whatever address the system picks. */
  readonly via: string | undefined;
  /** The parent proxy that this exit leads through. */
  readonly parent: ParentHop | undefined;
  /** `off` lets a tunnel carry bytes that are not TLS. */
  readonly tls: 'required' | 'off';
  /** The credential that the request takes on. */
  readonly credential: string | undefined;
  /** Whether the TLS inside a tunnel is opened, so that its requests are read and decided on. */
  readonly intercept: boolean;
}

/** The next proxy of a chain. */
export interface ParentHop {
  /** `proxy.corp:3128` */
  readonly name: string;
  /** Whether it resolves names, so that nobody here knows or decides on their addresses. */
  readonly resolves: boolean;
}

export const DEFAULT_SETTINGS: Settings = {
  via: undefined,
  parent: undefined,
  tls: 'required',
  credential: undefined,
  intercept: false,
};

export interface Decision {
  readonly stage: Stage;
  readonly effect: 'allow' | 'deny';
  readonly reason: Reason;
  /** The rule that decided, where one did. */
  readonly rule?: string | undefined;
  /** `report`: this deny is recorded and lets the exchange pass all the same. */
  readonly mode: 'enforce' | 'report';
  /** How to pass it; present whenever `passes` holds for a decision of the policy. */
  readonly settings?: Settings | undefined;
  /** Whom to ask, from the rule or the principal. */
  readonly owner?: string | undefined;
  /** One more sentence for the person who reads the refusal. Holds nothing of the request and no address. */
  readonly detail?: string | undefined;
}

/** Whether the exchange goes on. */
export function passes(decision: Pick<Decision, 'effect' | 'mode'>): boolean {
  return decision.effect === 'allow' || decision.mode === 'report';
}

export function deny(stage: Stage, reason: Reason, detail?: string): Decision {
  return { stage, effect: 'deny', reason, mode: 'enforce', detail };
}
