import { type Diagnostic, quote } from '../core/diagnostic.ts';
import type { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { NetworkMap } from '../core/network-map.ts';
import type { Policy } from './compile.ts';
import { Coverage } from './coverage.ts';
import type { DestinationIndex } from './destination-index.ts';
import { entriesIn } from './pattern-set.ts';
import { pointsOf } from './points.ts';
import type { CompiledAllow, CompiledDeny, CompiledRule } from './rule.ts';
import type { RuleCallers } from './rule-callers.ts';
import type { Subject } from './subjects.ts';

/** Rules that never decide anything, since another one does wherever they match. */
export function findHiddenRules(
  rules: readonly CompiledRule[],
  policy: Policy,
  callers: RuleCallers,
): Diagnostic[] {
  const coverage = new Coverage(policy.config, callers);
  return rules.flatMap((rule) => {
    const hiding = findHiding(rule, policy, callers, coverage);
    if (hiding === undefined) return [];
    const how = hiding.config.effect === 'deny' ? 'denies' : 'decides on';
    const message = `the rule ${quote(rule.name)} changes nothing: ${quote(hiding.name)} ${how} all that it speaks of`;
    const remedy = 'remove it, or narrow the other one';
    return [{ severity: 'warning', at: rule.config.at, message, remedy }];
  });
}

function findHiding(
  rule: CompiledRule,
  policy: Policy,
  callers: RuleCallers,
  coverage: Coverage,
): CompiledRule | undefined {
  const [entry] = entriesIn(rule.config, policy.config);
  const caller = callers.of(rule).next().value;
  const [point] = entry === undefined ? [] : pointsOf(entry, new NetworkMap());
  if (caller === undefined || point === undefined) return undefined;
  const subject = policy.subjects.of(caller.principal);
  // Whatever hides the rule matches wherever it does: one point of it is enough to find all that may.
  const deny = rulesAt(policy.denies, point.host, subject).find(
    (other) =>
      other.name !== rule.name && coverage.denies(other, rule) && comesFirst(other, rule, coverage),
  );
  if (deny !== undefined || rule.config.effect === 'deny') return deny;
  const allow = rule as CompiledAllow;
  return rulesAt(policy.allows, point.host, subject).find(
    (other) => other.name !== rule.name && coverage.wins(other, allow),
  );
}

/** Of two denies that say the same, one stays. */
function comesFirst(deny: CompiledDeny, other: CompiledRule, coverage: Coverage): boolean {
  if (other.config.effect === 'allow' || deny.name < other.name) return true;
  return !coverage.denies(other as CompiledDeny, deny);
}

function rulesAt<R extends CompiledRule>(
  index: DestinationIndex<R>,
  host: Hostname | Ip,
  subject: Subject,
): R[] {
  const rules: R[] = [];
  const collect = { meet: (rule: R) => void rules.push(rule) };
  if (host instanceof Ip) {
    index.visitListing(host, subject, collect);
    index.visitAny(subject, collect);
  } else index.visitNamed(host, subject, collect);
  return rules;
}
