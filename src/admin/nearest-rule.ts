import type { AllowRule, RuleConfig } from '../config/config.ts';
import { Ip } from '../core/ip.ts';
import { matchesHost } from '../policy/destination-index.ts';
import { explain } from '../policy/explain.ts';
import { type Entry, entriesIn } from '../policy/pattern-set.ts';
import type { Policy, Question } from '../policy/policy.ts';

/** The allow rule that comes closest to an exchange. */
export interface NearRule {
  readonly rule: AllowRule;
  /** One clause: what keeps it from matching. */
  readonly why: string;
  /** Whether that is nothing but that its requests, in a tunnel, cannot be read. */
  readonly isUnread: boolean;
}

/**
 * The rule for this principal and host that something else keeps from matching; else one for this host and others; else
 * one for this principal and a neighbouring host.
 */
export function nearestRule(policy: Policy, question: Question): NearRule | null {
  let nearest: AllowRule | undefined;
  let nearness = 0;
  for (const rule of policy.config.rules) {
    if (rule.effect !== 'allow') continue;
    const own = nearnessOf(rule, policy, question);
    if (own > nearness) [nearest, nearness] = [rule, own];
  }
  if (nearest === undefined) return null;
  const { name } = nearest;
  const explained = explain(policy, question).rules.find(({ rule }) => rule === name);
  const isUnread = explained?.miss === 'unreadable';
  return { rule: nearest, why: explained?.why ?? '', isUnread };
}

// More labels than a name has (RFC 1035 2.3.4: 255 octets).
const SAME_HOST = 128;
const SAME_PRINCIPAL = 2 * SAME_HOST;

function nearnessOf(rule: AllowRule, policy: Policy, question: Question): number {
  const host = nearnessOfHost(rule, policy, question);
  if (!isFor(rule, policy, question)) return host === SAME_HOST ? SAME_HOST : 0;
  return host === SAME_HOST ? SAME_PRINCIPAL : host;
}

function isFor(rule: RuleConfig, { subjects }: Policy, { principal }: Question): boolean {
  const { set } = subjects.of(principal);
  return rule.principals.some((name) => set.has(subjects.keyOf(name, 'identified')));
}

function nearnessOfHost(rule: AllowRule, policy: Policy, { destination }: Question): number {
  const { host } = destination;
  const entries = entriesIn(rule, policy.config);
  const matches = (entry: Entry) =>
    entry.kind === 'any' ? !(host instanceof Ip) : matchesHost(entry, host);
  if (entries.some(matches)) return SAME_HOST;
  if (host instanceof Ip) return 0;
  return Math.max(0, ...entries.map((entry) => commonLabels(host.name, nameIn(entry))));
}

function nameIn(entry: Entry): string {
  if (entry.kind === 'host') return entry.host.name;
  return entry.kind === 'suffix' ? entry.suffix.name : '';
}

/** How many labels two names share at their end; 0 when it is no more than the top one. */
function commonLabels(a: string, b: string): number {
  const [left, right] = [a.split('.').reverse(), b.split('.').reverse()];
  const differs = left.findIndex((label, i) => label !== right[i]);
  const common = differs < 0 ? left.length : differs;
  return common > 1 ? common : 0;
}
