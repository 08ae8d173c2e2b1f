import type { DestinationPattern, RuleConfig, SetConfig } from '../config/config.ts';
import { lists } from '../core/address-class.ts';
import { type Decision, passes } from '../core/decision.ts';
import { Ip } from '../core/ip.ts';
import { nothingOwn, type OwnAddresses } from './address.ts';
import type { Policy } from './compile.ts';
import { decideAddresses, decideName, goingOn, isLeftToParent } from './decide.ts';
import { entriesOf, matchesHost, patternText } from './destination-index.ts';
import type { Question } from './question.ts';
import { Asked, compileAllow, compileDeny, type Miss, matchAllow, matchDeny } from './rule.ts';

export interface Explanation {
  /** The one that stands: by name when that denies, else by address when addresses were given. */
  readonly decision: Decision;
  /** What would be dialled of the addresses given. */
  readonly addresses: readonly Ip[];
  /** Every rule of the policy, in its order. */
  readonly rules: readonly RuleExplanation[];
}

export interface RuleExplanation {
  readonly rule: string;
  readonly effect: 'allow' | 'deny';
  readonly matches: boolean;
  /** It is the rule that the decision names. */
  readonly decides: boolean;
  /** It is for this principal or speaks of this destination. */
  readonly mentions: boolean;
  /** One clause. */
  readonly why: string;
  /** What alone keeps it from matching, where it is for this caller and destination. */
  readonly miss?: Miss;
}

/**
 * The decision, and why each rule did or did not match. Reads every rule: for people, not for the path of an exchange.
 *
 * @param ips what the name resolves to, when that is known; a literal is its own address, and what is left to a parent
 *   proxy has none here
 */
export function explain(
  policy: Policy,
  question: Question,
  ips: readonly Ip[] = [],
  own: OwnAddresses = nothingOwn,
): Explanation {
  const { host } = question.destination;
  const byName = decideName(policy, question);
  const known =
    host instanceof Ip ? [host] : isLeftToParent(byName, question.destination) ? [] : ips;
  const { decision, addresses } =
    passes(byName) && known.length > 0
      ? decideAddresses(policy, goingOn(byName, question), known, own)
      : { decision: byName, addresses: [] };
  const asked = new Asked(question, policy.subjects.of(question.principal));
  const rules = policy.config.rules.map((rule) =>
    explainRule(rule, policy, asked, known, decision),
  );
  return { decision, addresses, rules };
}

function explainRule(
  rule: RuleConfig,
  policy: Policy,
  asked: Asked,
  ips: readonly Ip[],
  decision: Decision,
): RuleExplanation {
  const isForCaller = speaksOf(rule, policy, asked);
  const pattern = rule.to.find((each) => matchesTo(each, rule, policy.config.sets, asked, ips));
  const decides = decision.rule === rule.name;
  const told = { rule: rule.name, effect: rule.effect, decides };
  const no = (why: string) => ({
    ...told,
    matches: false,
    mentions: isForCaller || pattern !== undefined,
    why,
  });
  if (!isForCaller) return no(`it is for ${listText(rule.principals)}`);
  if (pattern === undefined) return no(`it is for ${listText(rule.to.map(patternText))}`);
  const match = matchConditions(rule, policy, asked);
  if (typeof match === 'string') return { ...no(missText(match, rule, asked)), miss: match };
  const why = `matches by ${patternText(pattern)}${lostText(rule, decision)}`;
  return { ...told, matches: true, mentions: true, why };
}

function speaksOf(rule: RuleConfig, policy: Policy, { subject }: Asked): boolean {
  const wildcard = rule.effect === 'deny' ? 'everyone' : 'identified';
  return rule.principals.some((name) => subject.set.has(policy.subjects.keyOf(name, wildcard)));
}

function matchesTo(
  pattern: DestinationPattern,
  rule: RuleConfig,
  sets: ReadonlyMap<string, SetConfig>,
  asked: Asked,
  ips: readonly Ip[],
): boolean {
  const { host } = asked.question.destination;
  if (pattern.kind === 'any') return rule.effect === 'deny' || !(host instanceof Ip);
  const entries = pattern.kind === 'set' ? entriesOf(sets, pattern.set) : [pattern];
  return entries.some((entry) => {
    if (matchesHost(entry, host)) return true;
    const isDenied = rule.effect === 'deny' && entry.kind === 'network';
    return isDenied && ips.some((ip) => lists(entry.cidr, ip));
  });
}

function matchConditions(rule: RuleConfig, policy: Policy, asked: Asked): number | Miss {
  return rule.effect === 'allow'
    ? matchAllow(compileAllow(rule, policy), asked)
    : matchDeny(compileDeny(rule, policy.subjects), asked);
}

function missText(miss: Miss, rule: RuleConfig, { question }: Asked): string {
  switch (miss) {
    case 'expired':
      return `it expired on ${new Date(rule.expiresMs ?? 0).toISOString().slice(0, 10)}`;
    case 'except':
      return 'it excepts this principal';
    case 'port':
      return `port ${question.destination.port} is not among ${portsText(rule)}`;
    case 'method':
      return `the method is not among ${listText(rule.methods ?? [])}`;
    case 'path':
      return `the path is not among ${listText(rule.paths ?? [])}`;
    case 'unreadable':
      return 'it speaks of methods or paths or adds a credential, and there is no request that can be read';
    case 'unclear-path':
      return 'it speaks of paths, and servers may see another path in this one';
  }
}

/** Why a rule that matches does not decide, or decides against what it allows. */
function lostText({ effect, name }: RuleConfig, { reason, rule, stage }: Decision): string {
  if (effect === 'allow' && reason === 'address-forbidden')
    return ', and does not permit the address';
  if (rule === name || rule === undefined) return '';
  if (effect === 'deny' || reason === 'policy-ambiguous') return `, as does ${rule}`;
  if (reason === 'rule-deny') return `, and ${rule} denies`;
  const why = stage === 'name' ? '' : ', or permits the address';
  return `, and ${rule} wins: it is more specific${why}`;
}

const LISTED = 5;

function listText(texts: readonly string[]): string {
  if (texts.length === 0) return 'nobody and nothing';
  const more = texts.length - LISTED;
  return texts.slice(0, LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function portsText({ ports, effect }: RuleConfig): string {
  if (ports === undefined) {
    return effect === 'allow' ? '443, and 80 for plain http' : 'all ports';
  }
  const texts = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return listText(texts);
}
