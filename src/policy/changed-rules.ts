import type { DenyRule, RuleConfig, SetConfig } from '../config/config.ts';
import { type PolicyConfig, parentsOf } from './compile.ts';
import { patternText } from './destination-index.ts';
import { setsOf } from './rule.ts';

/** A rule, and the policy that it stands in. */
export interface RuleIn {
  readonly rule: RuleConfig;
  readonly config: PolicyConfig;
  /** Nothing in the other policy means the same. */
  readonly changed: boolean;
}

/** Every rule of both policies: also one that reads the same, where a set, a group or an exit that it names has changed. */
export function rulesOfBoth(before: PolicyConfig, after: PolicyConfig): RuleIn[] {
  const sets = changedSets(before, after);
  const exits = changedExits(before, after);
  const groups = JSON.stringify([...before.groups]) !== JSON.stringify([...after.groups]);
  const isTouched = (rule: RuleConfig, config: PolicyConfig) =>
    setsOf(rule).some((name) => sets.has(name)) ||
    (rule.effect === 'allow' && rule.via !== undefined && exits.has(rule.via)) ||
    (groups && callersNamed(rule).some((name) => config.groups.has(name)));
  const side = (config: PolicyConfig, other: PolicyConfig): RuleIn[] => {
    const same = new Set(other.rules.map(fingerprint));
    return config.rules.map((rule) => ({
      rule,
      config,
      changed: !same.has(fingerprint(rule)) || isTouched(rule, config),
    }));
  };
  return [...side(before, after), ...side(after, before)];
}

/** Stands for everything there is, for callers whose enforcement has changed. */
export function everything(config: PolicyConfig): RuleIn {
  const rule: DenyRule = {
    effect: 'deny',
    name: 'everything',
    principals: ['*'],
    except: [],
    report: false,
    to: [{ kind: 'any' }],
    ports: undefined,
    methods: undefined,
    paths: undefined,
    expiresMs: undefined,
    owner: undefined,
    at: { file: '', line: 1, column: 1 },
  };
  return { rule, config, changed: false };
}

function callersNamed(rule: RuleConfig): readonly string[] {
  return rule.effect === 'deny' ? [...rule.principals, ...rule.except] : rule.principals;
}

function fingerprint(rule: RuleConfig): string {
  return JSON.stringify({ ...rule, to: rule.to.map((p) => [p.kind, patternText(p)]), at: null });
}

function changedSets(before: PolicyConfig, after: PolicyConfig): ReadonlySet<string> {
  const texts = (config: PolicyConfig, name: string) => contentsOf(config.sets.get(name));
  const names = [...before.sets.keys(), ...after.sets.keys()];
  return new Set(names.filter((name) => texts(before, name) !== texts(after, name)));
}

function contentsOf(set: SetConfig | undefined): string {
  if (set === undefined) return '';
  return [set.closed ? 'closed' : '', ...set.entries.map(patternText).sort()].join('\n');
}

/** Exits that lead through another parent proxy than before, or where the other side resolves. */
function changedExits(before: PolicyConfig, after: PolicyConfig): ReadonlySet<string> {
  const [was, is] = [parentsOf(before.exits), parentsOf(after.exits)];
  const names = [...was.keys(), ...is.keys()];
  return new Set(
    names.filter((name) => JSON.stringify(was.get(name)) !== JSON.stringify(is.get(name))),
  );
}
