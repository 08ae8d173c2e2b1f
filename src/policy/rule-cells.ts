import type { Cidr } from '../core/ip.ts';
import type { CompiledRule } from './rule.ts';
import type { Subject } from './subjects.ts';

/** The pattern that led to a rule. */
export interface Place {
  /** How specific it is among all patterns. */
  readonly rank: number;
  /** The network, where it is one that its author wrote, and so may open what is not public. */
  readonly network: Cidr | undefined;
}

/** Who looks for rules. */
export interface RuleVisitor<R extends CompiledRule> {
  /** Must not look anything up itself: the name is still being read. */
  meet(rule: R, place: Place): void;
}

/** Rules for the same destinations: mostly there is one. */
export type Rules<R extends CompiledRule> = R | RuleCells<R>;

/** Up to here, asking each rule whom it is for is quicker than looking its callers up. */
const FEW = 8;

/** Several rules for the same destinations, by whom they are for. */
export class RuleCells<R extends CompiledRule> {
  readonly #rules: R[] = [];
  #cells: Map<string, R[]> | undefined;

  add(rule: R): void {
    this.#rules.push(rule);
    if (this.#cells !== undefined) fileByCaller(this.#cells, rule);
    else if (this.#rules.length > FEW) {
      this.#cells = new Map();
      for (const each of this.#rules) fileByCaller(this.#cells, each);
    }
  }

  visit(subject: Subject, place: Place, visitor: RuleVisitor<R>): void {
    const cells = this.#cells;
    if (cells === undefined) {
      for (const rule of this.#rules) if (isFor(rule, subject)) visitor.meet(rule, place);
    } else if (cells.size < subject.keys.length) {
      for (const [key, rules] of cells)
        if (subject.set.has(key)) for (const rule of rules) visitor.meet(rule, place);
    } else {
      for (const key of subject.keys)
        for (const rule of cells.get(key) ?? []) visitor.meet(rule, place);
    }
  }
}

/** The same rules and one more. */
export function withRule<R extends CompiledRule>(rules: Rules<R> | undefined, rule: R): Rules<R> {
  if (rules === undefined) return rule;
  if (rules instanceof RuleCells) {
    rules.add(rule);
    return rules;
  }
  const cells = new RuleCells<R>();
  cells.add(rules);
  cells.add(rule);
  return cells;
}

/** Meets every rule that is for this caller, some perhaps twice. */
export function visitRules<R extends CompiledRule>(
  rules: Rules<R>,
  subject: Subject,
  place: Place,
  visitor: RuleVisitor<R>,
): void {
  if (rules instanceof RuleCells) rules.visit(subject, place, visitor);
  else if (isFor(rules, subject)) visitor.meet(rules, place);
}

function isFor({ subjects }: CompiledRule, { set }: Subject): boolean {
  for (const key of subjects) if (set.has(key)) return true;
  return false;
}

function fileByCaller<R extends CompiledRule>(cells: Map<string, R[]>, rule: R): void {
  for (const key of rule.subjects) {
    const rules = cells.get(key);
    if (rules === undefined) cells.set(key, [rule]);
    else rules.push(rule);
  }
}
