import type { PortRange } from '../config/config.ts';
import type { PolicyConfig } from './compile.ts';
import { entriesOf, patternRank, patternText } from './destination-index.ts';
import { type Entry, PatternSet } from './pattern-set.ts';
import type { CompiledAllow, CompiledDeny, CompiledRule } from './rule.ts';
import type { RuleCallers } from './rule-callers.ts';

/** Whether one rule speaks of all that another one speaks of. Told only where that is certain. */
export class Coverage {
  readonly #config: PolicyConfig;
  readonly #callers: RuleCallers;
  readonly #patterns = new Map<string, PatternSet>();

  constructor(config: PolicyConfig, callers: RuleCallers) {
    this.#config = config;
    this.#callers = callers;
  }

  /** Whether the deny holds wherever the other rule matches. */
  denies(deny: CompiledDeny, other: CompiledRule): boolean {
    const enforces = !deny.config.report || (other.config.effect === 'deny' && other.config.report);
    return (
      enforces &&
      isOutlasted(other, deny) &&
      coversConditions(deny, other) &&
      (deny.config.ports === undefined || coversRanges(deny.config.ports, portsOf(other))) &&
      this.#callers.covers(deny, other) &&
      this.#ranks(deny, other).every(({ wide }) => wide >= 0)
    );
  }

  /** Whether the allow wins wherever the other one matches. */
  wins(allow: CompiledAllow, other: CompiledAllow): boolean {
    return (
      isOutlasted(other, allow) &&
      String(allow.config.addresses) === String(other.config.addresses) &&
      coversConditions(allow, other) &&
      coversPorts(allow, other) &&
      this.#callers.covers(allow, other) &&
      this.#ranks(allow, other).every(
        ({ wide, narrow }) => wide > narrow || (wide === narrow && winsTie(allow, other)),
      )
    );
  }

  /** For each pattern of the narrow rule: its own rank, and that of the wide rule there (-1: not covered). */
  #ranks(wide: CompiledRule, narrow: CompiledRule): { wide: number; narrow: number }[] {
    return narrow.config.to.flatMap((pattern) => {
      const inSet = pattern.kind === 'set';
      if (inSet && wide.config.to.some((to) => to.kind === 'set' && to.set === pattern.set)) {
        return [{ wide: 0, narrow: 0 }];
      }
      const entries: readonly Entry[] = inSet
        ? entriesOf(this.#config.sets, pattern.set)
        : [pattern];
      return entries.map((entry) => ({
        wide: this.#rankAt(wide, entry),
        narrow: patternRank(entry, inSet),
      }));
    });
  }

  #rankAt(rule: CompiledRule, entry: Entry): number {
    const isDeny = rule.config.effect === 'deny';
    const ranks = rule.config.to.map((to) => {
      if (isDeny && to.kind === 'any') return 0;
      const inSet = to.kind === 'set';
      const covering = inSet ? this.#setPatterns(to.set).covering(entry) : coveringOne(to, entry);
      // A network around another opens less of it than that one itself.
      const fit =
        isDeny || entry.kind !== 'network'
          ? covering
          : covering.filter((c) => patternText(c) === patternText(entry));
      return Math.max(-1, ...fit.map((each) => patternRank(each, inSet)));
    });
    return Math.max(-1, ...ranks);
  }

  #setPatterns(name: string): PatternSet {
    const known = this.#patterns.get(name);
    if (known !== undefined) return known;
    const patterns = new PatternSet(entriesOf(this.#config.sets, name));
    this.#patterns.set(name, patterns);
    return patterns;
  }
}

function coveringOne(pattern: Entry, entry: Entry): Entry[] {
  return new PatternSet([pattern]).covering(entry);
}

function isOutlasted({ config }: CompiledRule, other: CompiledRule): boolean {
  return (other.config.expiresMs ?? Infinity) >= (config.expiresMs ?? Infinity);
}

function coversConditions(wide: CompiledRule, narrow: CompiledRule): boolean {
  const { methods, paths } = wide;
  const texts = paths?.map(({ text }) => text);
  return (
    (methods === undefined || isSubset(narrow.methods, methods)) &&
    (texts === undefined || (narrow.paths?.every(({ text }) => texts.includes(text)) ?? false))
  );
}

function isSubset(narrow: ReadonlySet<string> | undefined, wide: ReadonlySet<string>): boolean {
  return narrow !== undefined && [...narrow].every((each) => wide.has(each));
}

/** Equally specific destinations: conditions and then names tell who wins, and the same settings that there is no tie. */
function winsTie(allow: CompiledAllow, other: CompiledAllow): boolean {
  return (
    allow.methods?.size === other.methods?.size &&
    (allow.paths === undefined) === (other.paths === undefined) &&
    allow.signature === other.signature &&
    allow.name < other.name
  );
}

function coversPorts({ config: wide }: CompiledAllow, { config: narrow }: CompiledAllow): boolean {
  if (wide.ports !== undefined) return coversRanges(wide.ports, narrow.ports ?? DEFAULT);
  return narrow.ports === undefined && (wide.tls === 'required' || narrow.tls === 'off');
}

const DEFAULT: readonly PortRange[] = [80, 443].map((port) => ({ first: port, last: port }));

function portsOf({ config }: CompiledRule): readonly PortRange[] {
  return config.ports ?? (config.effect === 'allow' ? DEFAULT : [{ first: 1, last: 65535 }]);
}

function coversRanges(wide: readonly PortRange[], narrow: readonly PortRange[]): boolean {
  return narrow.every(({ first, last }) =>
    wide.some((range) => range.first <= first && last <= range.last),
  );
}
