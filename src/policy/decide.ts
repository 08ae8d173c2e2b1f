import type { Decision, Stage } from '../core/decision.ts';
import { DEFAULT_SETTINGS, passes } from '../core/decision.ts';
import { type Destination, overTls } from '../core/destination.ts';
import { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
import type { Reason } from '../core/reasons.ts';
import { classify, type Dialled, forbiddenDetail, isPublic, type OwnAddresses } from './address.ts';
import type { Policy } from './compile.ts';
import type { Question } from './question.ts';
import { Asked, type CompiledAllow, type CompiledDeny, setsOf } from './rule.ts';
import { type FoundAllow, findAllow, findDeny } from './search.ts';

/**
 * Decides on the name that was asked for: what is denied here is never looked up in DNS. A request that takes on a
 * credential must pass as what it becomes, too: a deny may speak of that port.
 */
export function decideName(policy: Policy, question: Question): Decision {
  const { decision } = judge(policy, question, undefined);
  const onward = goingOn(decision, question);
  if (onward === question || !passes(decision)) return decision;
  const { decision: secured } = judge(policy, onward, undefined);
  if (!passes(secured) || secured.rule === decision.rule) return secured;
  const detail = `The rules ${decision.rule} and ${secured.rule} differ on what is plain and what is not.`;
  return denial(question, 'name', 'policy-ambiguous', { detail });
}

/** What is resolved, decided on by address and dialled: what was asked, but over TLS where it takes on a credential. */
export function goingOn({ settings }: Decision, question: Question): Question {
  const { destination } = question;
  if (settings?.credential === undefined || destination.scheme !== 'http') return question;
  return { ...question, destination: overTls(destination), upgraded: true };
}

/**
 * Whether nobody here resolves a destination: the rule leaves that to the parent proxy of its exit, so the decision on the
 * name is all there is. A literal is its own address, and `localhost` would be the parent's own host.
 */
export function isLeftToParent({ settings }: Decision, { host }: Destination): boolean {
  return settings?.parent?.resolves === true && host instanceof Hostname && !host.isLocalhost;
}

/** Decides on one address of the destination: a resolved one, or the literal that was asked for. */
export function decideAddress(
  policy: Policy,
  question: Question,
  ip: Ip,
  own: OwnAddresses,
): Decision {
  return judge(policy, question, classify(ip, question.destination.port, own)).decision;
}

export interface AddressesDecision {
  readonly decision: Decision;
  /** What may be dialled, in the order given: none when the decision does not pass. */
  readonly addresses: readonly Ip[];
}

/**
 * Decides on all addresses of the destination. The first that passes sets the rule and its settings; only addresses
 * that pass by the same one are kept. When none passes, a rule's deny is told before a forbidden address.
 */
export function decideAddresses(
  policy: Policy,
  question: Question,
  ips: readonly Ip[],
  own: OwnAddresses,
): AddressesDecision {
  const verdicts = ips.map((ip) =>
    judge(policy, question, classify(ip, question.destination.port, own)),
  );
  const first = verdicts.find(({ decision }) => passes(decision));
  if (first !== undefined) {
    const addresses = ips.filter((_, i) => isSameWay(verdicts[i] as Verdict, first));
    return { decision: first.decision, addresses };
  }
  const told = verdicts.find(({ decision }) => decision.reason === 'rule-deny') ?? verdicts[0];
  if (told !== undefined) return { decision: told.decision, addresses: [] };
  const detail = 'The destination has no address at all.';
  return { decision: denial(question, 'address', 'address-forbidden', { detail }), addresses: [] };
}

interface Verdict {
  readonly decision: Decision;
  /** The allow rule whose settings hold. */
  readonly winner: CompiledAllow | undefined;
}

function isSameWay(a: Verdict, b: Verdict): boolean {
  return (
    passes(a.decision) &&
    a.winner === b.winner &&
    a.decision.rule === b.decision.rule &&
    a.decision.mode === b.decision.mode
  );
}

/**
 * The one place where rules turn into a decision. Report mode lets pass what no rule matches or a rule denies, and
 * nothing else.
 */
function judge(policy: Policy, question: Question, dialled: Dialled | undefined): Verdict {
  const stage = dialled === undefined ? 'name' : 'address';
  const asked = new Asked(question, policy.subjects.of(question.principal));
  const { report } = asked.subject;
  if (dialled?.listener === true) return closed(denial(question, stage, 'loop'));

  const denied = findDeny(policy.denies, asked, dialled);
  if (denied !== undefined && !denied.report && !report) {
    return closed(denial(question, stage, 'rule-deny', { rule: denied }));
  }
  const found = findAllow(policy.allows, asked, dialled);
  if (found.rule === undefined) {
    return closed(withoutRule(question, stage, asked, denied, found, dialled));
  }
  const { rule, rival } = found;
  if (rival !== undefined) {
    const detail = `The rules ${rule.name} and ${rival.name} are equally specific and differ in their settings.`;
    return closed(denial(question, stage, 'policy-ambiguous', { rule, detail }));
  }
  if (policy.open !== undefined && findAllow(policy.open, asked, dialled).rule?.name !== rule.name)
    return closed(outdated(policy, question, stage, rule, report));
  if (denied !== undefined && rule.settings.credential !== undefined) {
    const detail = 'What passes only because a deny reports gets no credential.';
    return closed(denial(question, stage, 'rule-deny', { rule: denied, detail }));
  }
  if (denied !== undefined) {
    return { decision: reported(question, stage, 'rule-deny', denied, rule), winner: rule };
  }
  return { decision: allowance(question, stage, rule), winner: rule };
}

/** No rule allows it by name, or those that do permit no such address. */
function withoutRule(
  question: Question,
  stage: Stage,
  asked: Asked,
  denied: CompiledDeny | undefined,
  found: FoundAllow,
  dialled: Dialled | undefined,
): Decision {
  if (
    dialled !== undefined &&
    (found.forbidding !== undefined || (asked.subject.report && !isPublic(dialled)))
  ) {
    const rule = found.forbidding;
    return denial(question, stage, 'address-forbidden', { rule, detail: forbiddenDetail(dialled) });
  }
  // Nobody identified passes too where all enforcement is off: report mode is there to show all traffic.
  if (asked.subject.report) {
    const reason = denied === undefined ? 'no-matching-rule' : 'rule-deny';
    return reported(question, stage, reason, denied, undefined);
  }
  // A deny rule in report mode has nothing to let pass where no rule allows: it must not open anything.
  const reason = question.principal === undefined ? 'no-identity' : 'no-matching-rule';
  return denial(question, stage, reason, { detail: nearMiss(found) });
}

/**
 * Only a list that is too old allows it, or keeps a rule from it that would let it pass in another way. Nobody knows by now
 * which of the two is right. Report mode lets it pass as it would with the list.
 */
function outdated(
  { config }: Policy,
  question: Question,
  stage: Stage,
  rule: CompiledAllow,
  report: boolean,
): Decision {
  const names = setsOf(rule.config).filter((name) => config.sets.get(name)?.closed);
  const detail = `The rule takes addresses of ${names.join(', ')}, whose list has not been renewed for too long.`;
  const decision = denial(question, stage, 'list-outdated', { rule, detail });
  if (!report || rule.settings.credential !== undefined) return decision;
  return { ...decision, mode: 'report', settings: rule.settings };
}

function nearMiss({ near }: FoundAllow): string | undefined {
  if (near === 'unreadable') {
    return 'A rule with methods, paths or a credential would allow it, but the requests in a tunnel cannot be read unless it says intercept: true.';
  }
  if (near === 'unclear-path') {
    return 'A rule with paths takes no path in which servers may see another one (.., //, ;, %2f, backslash).';
  }
  return undefined;
}

function closed(decision: Decision): Verdict {
  return { decision, winner: undefined };
}

function allowance(question: Question, stage: Stage, rule: CompiledAllow): Decision {
  return {
    stage,
    effect: 'allow',
    reason: 'rule-allow',
    rule: rule.name,
    mode: 'enforce',
    settings: rule.settings,
    owner: rule.owner ?? question.principal?.owner,
  };
}

function denial(
  question: Question,
  stage: Stage,
  reason: Reason,
  more: { rule?: CompiledAllow | CompiledDeny | undefined; detail?: string | undefined } = {},
): Decision {
  return {
    stage,
    effect: 'deny',
    reason,
    rule: more.rule?.name,
    mode: 'enforce',
    owner: more.rule?.owner ?? question.principal?.owner,
    detail: more.detail,
  };
}

/** A deny that passes as it would without it: with the settings of the rule that allows it, if there is one. */
function reported(
  question: Question,
  stage: Stage,
  reason: Reason,
  rule: CompiledDeny | undefined,
  winner: CompiledAllow | undefined,
): Decision {
  const settings = winner?.settings ?? DEFAULT_SETTINGS;
  return { ...denial(question, stage, reason, { rule }), mode: 'report', settings };
}
