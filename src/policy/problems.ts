import { type Diagnostic, sortDiagnostics } from '../core/diagnostic.ts';
import { compile, type PolicyConfig } from './compile.ts';
import { findEvadableDenies } from './evadable-denies.ts';
import { findHiddenRules } from './hidden-rules.ts';
import { findNeverMatching } from './never-matching.ts';
import { type CompiledRule, compileAllow, compileDeny, expired } from './rule.ts';
import { RuleCallers } from './rule-callers.ts';
import { findTies } from './ties.ts';

/**
 * What the rules mean together and their author most likely did not: rules that can never match, rules that another
 * hides, ties with different settings, and denies that a tunnel evades. The last two are faults.
 *
 * @param now milliseconds since the epoch: rules that have expired are left out
 */
export function findRuleProblems(config: PolicyConfig, now: number): Diagnostic[] {
  const living = { ...config, rules: config.rules.filter((rule) => !expired(rule, now)) };
  const policy = compile(living);
  const callers = new RuleCallers(policy);
  const rules = living.rules.map(
    (rule): CompiledRule =>
      rule.effect === 'allow' ? compileAllow(rule, policy) : compileDeny(rule, policy.subjects),
  );
  const never = findNeverMatching(rules, living, callers);
  const dead = new Set(never.map(({ rule }) => rule));
  const alive = rules.filter(({ name }) => !dead.has(name));
  return sortDiagnostics([
    ...never.map(({ diagnostic }) => diagnostic),
    ...findHiddenRules(alive, policy, callers),
    ...findTies(alive, policy, callers, now),
    ...findEvadableDenies(alive, policy, callers, now),
  ]);
}
