import { specialRange } from '../core/address-class.ts';
import { type Diagnostic, quote } from '../core/diagnostic.ts';
import type { Cidr } from '../core/ip.ts';
import { type NetworkList, networksIn } from '../core/networks.ts';
import type { PolicyConfig } from './compile.ts';
import { entriesIn } from './pattern-set.ts';
import type { CompiledRule } from './rule.ts';
import type { RuleCallers } from './rule-callers.ts';

interface NeverMatching {
  readonly rule: string;
  readonly diagnostic: Diagnostic;
}

/** Rules that no exchange can ever match. */
export function findNeverMatching(
  rules: readonly CompiledRule[],
  config: PolicyConfig,
  callers: RuleCallers,
): NeverMatching[] {
  return rules.flatMap((rule) => {
    const lack = lackOf(rule, config, callers);
    if (lack === undefined) return [];
    const [what, remedy] = lack;
    const message = `the rule ${quote(rule.name)} can never match: ${what}`;
    return [
      { rule: rule.name, diagnostic: { severity: 'warning', at: rule.config.at, message, remedy } },
    ];
  });
}

type Lack = readonly [what: string, remedy: string];

function lackOf(rule: CompiledRule, config: PolicyConfig, callers: RuleCallers): Lack | undefined {
  if (callers.of(rule).next().done === true) {
    return ['it is for nobody', 'name a principal or a group with members, or remove the rule'];
  }
  if (entriesIn(rule.config, config).length === 0) {
    return ['its destinations are empty', 'name a destination, or remove the rule'];
  }
  for (const key of ['ports', 'methods', 'paths'] as const) {
    if (rule.config[key]?.length === 0) {
      return [`its ${key} are empty`, `leave ${key} out for the default, or remove the rule`];
    }
  }
  return rule.config.effect === 'allow' ? addressLack(rule, config) : undefined;
}

function addressLack({ config: rule }: CompiledRule, config: PolicyConfig): Lack | undefined {
  const { addresses: listed } = rule as { addresses?: NetworkList };
  const addresses = listed && networksIn(listed, config.sets);
  if (listed?.length === 0) {
    return ['its addresses are empty', 'leave addresses out for public ones, or name some'];
  }
  const remedy = 'name each address exactly';
  if (addresses?.length !== 0 && addresses?.every(opensNothing))
    return ['its addresses must be named one by one', remedy];
  const entries = entriesIn(rule, config);
  const isClosed = entries.every((entry) => entry.kind === 'network' && opensNothing(entry.cidr));
  return isClosed && addresses === undefined
    ? ['its destinations must be named one by one', remedy]
    : undefined;
}

/** A network in which only exactly named addresses may be dialled. */
function opensNothing(cidr: Cidr): boolean {
  const range = specialRange(cidr.base);
  const inside = range?.range !== undefined && cidr.inside(range.range);
  return inside && range.exactOnly && !cidr.exact;
}
