import { type CallerClass, callersOf, classify } from './callers.ts';
import type { Policy } from './compile.ts';
import type { CompiledRule } from './rule.ts';

/** Who may call, sorted by what rules say of them. */
export class RuleCallers {
  readonly classes: readonly CallerClass[];
  readonly #policy: Policy;
  readonly #byKey = new Map<string, CallerClass[]>();

  constructor(policy: Policy) {
    this.#policy = policy;
    this.classes = classify(callersOf(policy.config), [policy]);
    for (const one of this.classes) {
      for (const key of policy.subjects.of(one.principal).keys) {
        const others = this.#byKey.get(key);
        if (others === undefined) this.#byKey.set(key, [one]);
        else others.push(one);
      }
    }
  }

  /** Those that the rule is for. */
  *of(rule: CompiledRule): Generator<CallerClass> {
    for (const key of rule.subjects) {
      for (const one of this.#byKey.get(key) ?? []) if (this.isFor(rule, one)) yield one;
    }
  }

  isFor(rule: CompiledRule, { principal }: CallerClass): boolean {
    const { set } = this.#policy.subjects.of(principal);
    const excepted = 'except' in rule && rule.except.some((key) => set.has(key));
    return !excepted && rule.subjects.some((key) => set.has(key));
  }

  /** Whether a rule is for everybody that another one is for. */
  covers(wide: CompiledRule, narrow: CompiledRule): boolean {
    for (const one of this.of(narrow)) if (!this.isFor(wide, one)) return false;
    return true;
  }
}
