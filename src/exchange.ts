import type { ExchangeRecord, Recorder } from './audit/recorder.ts';
import type { Conversation, Grant, Outcome } from './core/conversation.ts';
import { type Decision, deny, passes } from './core/decision.ts';
import { Hostname } from './core/hostname.ts';
import type { Ip } from './core/ip.ts';
import type { Principal } from './core/principal.ts';
import { Refusal, UpstreamError } from './core/refusal.ts';
import type { Resolver } from './destination/resolver.ts';
import type { InForce } from './in-force.ts';
import {
  decideAddresses,
  decideName,
  goingOn,
  isLeftToParent,
  type OwnAddresses,
} from './policy/policy.ts';
import type { Question } from './policy/question.ts';

/** What an exchange needs of the gateway. */
export interface Gate<Stream> {
  readonly recorder: Recorder;
  readonly resolver: Resolver;
  readonly own: OwnAddresses;
  /** What is decided by. Asked once, at the beginning, so that a reload never splits an exchange. */
  inForce(): InForce;
  now(): number;
  /** Tells of a fault of the gateway's own code, which closes the exchange that met it. */
  fault(error: unknown): void;
  /** The way out that a decision permits. */
  grant(permit: Permit): Grant<Stream>;
}

export interface Permit {
  readonly inForce: InForce;
  readonly record: ExchangeRecord;
  readonly decision: Decision;
  readonly principal: Principal | undefined;
  readonly question: Question;
  /** The only addresses that may be dialled; none where a parent proxy resolves. */
  readonly addresses: readonly Ip[];
}

/**
 * The path of every exchange, whatever its protocol:
 *
 *     accept -> identify -> decide (name) -> resolve -> decide (address) -> record -> grant -> open -> relay -> record
 *
 * `docs/request-path.md` tells it with the status at every branch. Never rejects: whatever happens becomes the outcome,
 * which is recorded exactly once.
 */
export async function runExchange<Stream>(
  conversation: Conversation<Stream>,
  gate: Gate<Stream>,
): Promise<void> {
  const record = gate.recorder.begin(conversation);
  const inForce = gate.inForce();
  let outcome: Outcome;
  try {
    outcome = await pass(conversation, gate, inForce, record);
  } catch (error) {
    outcome = await endFailed(conversation, gate, inForce, record, error);
  }
  record.outcome(outcome);
}

async function pass<Stream>(
  conversation: Conversation<Stream>,
  gate: Gate<Stream>,
  inForce: InForce,
  record: ExchangeRecord,
): Promise<Outcome> {
  const { identifier, policy } = inForce;
  const { destination, request } = conversation;
  const refuse = (decision: Decision, address?: Ip) =>
    endRefused(conversation, inForce, record, decision, address);

  // accept: what the listener framed is a request for a destination, or a fault.
  if (destination instanceof Refusal) {
    return refuse(deny('accept', destination.reason, destination.message));
  }

  // identify: evidence that is present and wrong never falls back to anonymous.
  const identified = identifier.identify(conversation.evidence());
  if ('invalid' in identified)
    return refuse(deny('identify', identified.reason, identified.invalid));
  const { principal } = identified;
  record.identified(principal);

  // decide on the name: a denied name is never looked up.
  const asked: Question = { principal, destination, request, now: gate.now() };
  const named = decideName(policy, asked);
  record.passed('decide');
  if (!passes(named)) return refuse(named);
  const question = goingOn(named, asked);

  // resolve once: these addresses are decided on, and these are dialled. Only a parent proxy may be left to resolve.
  let ips: readonly Ip[] | undefined;
  try {
    if (!isLeftToParent(named, destination)) ips = await resolve(gate.resolver, destination.host);
  } catch (error) {
    await record.decision(named);
    throw error;
  }

  // decide on each address.
  const { decision, addresses } = ips
    ? decideAddresses(policy, question, ips, gate.own)
    : { decision: named, addresses: [] };
  record.passed('resolve');
  if (!passes(decision)) return refuse(decision, ips?.[0]);

  // record before the first byte goes out.
  await record.decision(decision, addresses[0]);
  record.passed('record');

  // grant, open, relay.
  const grant = gate.grant({ inForce, record, decision, principal, question, addresses });
  await conversation.open(grant);
  record.passed('open');
  return conversation.relay();
}

function resolve(resolver: Resolver, host: Hostname | Ip): Promise<readonly Ip[]> | readonly Ip[] {
  return host instanceof Hostname ? resolver.resolve(host) : [host];
}

async function endRefused<Stream>(
  conversation: Conversation<Stream>,
  { contact: lastResort }: InForce,
  record: ExchangeRecord,
  decision: Decision,
  address: Ip | undefined,
): Promise<Outcome> {
  await record.decision(decision, address);
  record.passed('record');
  const { principal } = record;
  const contact = decision.owner ?? principal?.owner ?? lastResort;
  return conversation.refuse({ id: record.id, decision, principal, contact });
}

/** Trouble on the way out is an outcome; a record that cannot be written closes the way; the rest is a fault of ours. */
async function endFailed<Stream>(
  conversation: Conversation<Stream>,
  gate: Gate<Stream>,
  { contact }: InForce,
  record: ExchangeRecord,
  error: unknown,
): Promise<Outcome> {
  if (error instanceof UpstreamError) {
    record.trouble(error);
    return conversation.fail(error.code, record.id);
  }
  if (error instanceof Refusal) {
    const { id, principal } = record;
    const decision = deny('request', error.reason, error.message);
    return conversation.refuse({ id, decision, principal, contact });
  }
  gate.fault(error);
  return conversation.fail('gateway-fault', record.id);
}
