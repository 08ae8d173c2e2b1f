import type {
  DecisionEvent,
  OutcomeEvent,
  RecordedDecision,
  RecordedOutcome,
} from '../audit/event.ts';
import type { PrincipalConfig, RuleConfig } from '../config/config.ts';
import { passes } from '../core/decision.ts';
import { DEFAULT_PORTS, parseAuthority, type Scheme } from '../core/destination.ts';
import { REASONS, TROUBLES } from '../core/reasons.ts';
import type { Policy, Question } from '../policy/policy.ts';
import { nameGlob } from '../policy/subjects.ts';
import { type NearRule, nearestRule } from './nearest-rule.ts';
import {
  namedAddress,
  newException,
  newRule,
  openedTunnel,
  positionOf,
  type Remedy,
  rawBytes,
} from './remedy.ts';

/** Why an exchange went as it did: what `/v1/why/ID` answers. */
export interface WhyReport {
  readonly id: string;
  /** One line. */
  readonly summary: string;
  /** What the reason means, and what to do about it. */
  readonly says: string;
  readonly todo: string;
  readonly exchange: Pick<
    OutcomeEvent,
    | 'time'
    | 'gateway'
    | 'listener'
    | 'client'
    | 'principal'
    | 'identifiedBy'
    | 'action'
    | 'path'
    | 'destination'
    | 'address'
    | 'exit'
    | 'parent'
  >;
  /** In the order in which they fell; the last one stands. */
  readonly decisions: readonly (RecordedDecision & { readonly time: string })[];
  /** null: it is still going on. */
  readonly outcome: RecordedOutcome | null;
  /** Of today's policy: the rule that comes closest to allowing it. */
  readonly nearest: { readonly rule: string; readonly at: string; readonly why: string } | null;
  /** What would let it pass by today's policy, where lines in the configuration can. */
  readonly wouldAllow: Remedy | null;
  /** Whether today's policy is the one that decided. */
  readonly samePolicy: boolean;
  readonly contact: string | null;
}

/** What is known today, to explain what happened then. */
export interface Today {
  readonly policy: Policy;
  /** The policy's digest. */
  readonly digest: string;
  /** Whom to ask when neither rule nor principal names anybody. */
  readonly contact: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** @param events of one exchange, in the order in which they happened; at least one */
export function explainExchange(
  events: readonly (DecisionEvent | OutcomeEvent)[],
  today: Today,
): WhyReport {
  const last = events.at(-1) as DecisionEvent | OutcomeEvent;
  const outcome = last.type === 'outcome' ? last.outcome : null;
  const question = questionOf(last, today);
  const isUnmatched = question !== undefined && last.decision?.reason === 'no-matching-rule';
  const near = isUnmatched ? nearestRule(today.policy, question) : null;
  const { says, todo } = meaning(last.decision, outcome);
  return {
    id: last.id,
    summary: summaryOf(last.decision, outcome),
    says,
    todo,
    exchange: factsOf(events[0] as DecisionEvent | OutcomeEvent, last),
    decisions: events
      .filter((event) => event.type === 'decision')
      .flatMap(({ time, decision }) => (decision === null ? [] : [{ time, ...decision }])),
    outcome,
    nearest: near && { rule: near.rule.name, at: positionOf(near.rule), why: near.why },
    wouldAllow: question === undefined ? null : remedyOf(events, last, question, near, today),
    samePolicy: last.policy === today.digest,
    contact: contactOf(last, today),
  };
}

function summaryOf(decision: RecordedDecision | null, outcome: RecordedOutcome | null): string {
  if (decision === null) return 'It broke before anything was decided.';
  const { reason, stage, rule } = decision;
  const by = rule === null ? '' : ` by rule ${rule}`;
  if (!passes(decision)) return `Refused${by}: ${reason}, at the stage "${stage}".`;
  const allowed =
    decision.effect === 'allow'
      ? `Allowed${by}`
      : `Let pass in report mode; enforced, it is refused${by}: ${reason}`;
  if (outcome === null) return `${allowed}; it is still going on.`;
  return outcome.error === null ? `${allowed}.` : `${allowed}; then it failed: ${outcome.error}.`;
}

function meaning(
  decision: RecordedDecision | null,
  outcome: RecordedOutcome | null,
): { says: string; todo: string } {
  if (outcome?.error != null) {
    const more = outcome.detail === undefined ? '' : ` (${outcome.detail})`;
    return { says: `${TROUBLES[outcome.error].says}${more}`, todo: 'No rule stands in the way.' };
  }
  if (decision === null) return { says: 'The gateway itself failed.', todo: 'See its log.' };
  const { says, todo } = REASONS[decision.reason];
  return { says: decision.detail === undefined ? says : `${says} (${decision.detail})`, todo };
}

function factsOf(first: DecisionEvent | OutcomeEvent, last: DecisionEvent | OutcomeEvent) {
  const { gateway, listener, client, principal, identifiedBy, action } = last;
  const { path, destination, address, exit, parent } = last;
  return {
    time: first.time,
    gateway,
    listener,
    client,
    principal,
    identifiedBy,
    action,
    ...(path !== undefined && { path }),
    destination,
    address,
    exit,
    ...(parent && { parent }),
  };
}

/** What was asked, as today's policy would be asked; undefined when no destination was named. */
function questionOf(
  { principal, identifiedBy, action, path, destination }: DecisionEvent | OutcomeEvent,
  { policy, now }: Today,
): Question | undefined {
  if (destination === null) return undefined;
  const { host, port } = parseAuthority(destination);
  const template = templateOf(principal, policy.config.principals);
  return {
    principal:
      principal === null || identifiedBy === null
        ? undefined
        : { name: principal, method: identifiedBy, ...(template !== undefined && { template }) },
    destination: { scheme: schemeOf(action, port), host, port: port as number },
    request: path === undefined ? undefined : { method: action, path },
    now,
  };
}

/** What goes to port 443 and can be read was intercepted, or is about to be upgraded. */
function schemeOf(action: string, port: number | undefined): Scheme {
  if (action === 'CONNECT') return 'tunnel';
  return port === DEFAULT_PORTS.https ? 'https' : 'http';
}

function templateOf(
  name: string | null,
  principals: readonly PrincipalConfig[],
): string | undefined {
  if (name === null || principals.some((principal) => principal.name === name)) return undefined;
  const isInstance = (template: string) =>
    template.includes('{') && nameGlob(template.replace(/\{[^}]*\}/g, '*')).test(name);
  return principals.find((principal) => isInstance(principal.name))?.name;
}

function remedyOf(
  events: readonly (DecisionEvent | OutcomeEvent)[],
  { decision, address }: DecisionEvent | OutcomeEvent,
  question: Question,
  near: NearRule | null,
  { policy: { config } }: Today,
): Remedy | null {
  const { principal } = question;
  if (decision === null || passes(decision) || principal === undefined) return null;
  const rule = config.rules.find(({ name }) => name === decision.rule);
  switch (decision.reason) {
    case 'no-matching-rule':
      if (near?.isUnread) return openedTunnel(near.rule);
      return newRule(principal, question, near?.rule);
    case 'rule-deny':
      return rule?.effect === 'deny' ? newException(principal, rule) : null;
    case 'address-forbidden':
      return rule?.effect === 'allow' && address !== null ? namedAddress(address, rule) : null;
    case 'protocol-mismatch': {
      const allowing = config.rules.find(({ name }) => name === events[0]?.decision?.rule);
      return allowing?.effect === 'allow' ? rawBytes(allowing) : null;
    }
    default:
      return null;
  }
}

function contactOf(event: DecisionEvent | OutcomeEvent, today: Today): string | null {
  const { rules, principals } = today.policy.config;
  const ownerOf = (owned: readonly (RuleConfig | PrincipalConfig)[], name: string | null) =>
    owned.find((one) => one.name === name)?.owner;
  return (
    ownerOf(rules, event.decision?.rule ?? null) ??
    ownerOf(principals, templateOf(event.principal, principals) ?? event.principal) ??
    today.contact ??
    null
  );
}
