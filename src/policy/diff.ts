import type { PortRange } from '../config/config.ts';
import { type Decision, type ParentHop, passes } from '../core/decision.ts';
import { compareText } from '../core/diagnostic.ts';
import { nothingOwn } from './address.ts';
import { type CallerClass, callersOf, classify, declares } from './callers.ts';
import { everything, type RuleIn, rulesOfBoth } from './changed-rules.ts';
import { compile, type Policy, type PolicyConfig } from './compile.ts';
import { decideAddress, decideName, goingOn, isLeftToParent } from './decide.ts';
import { type Ask, Survey } from './survey.ts';

export interface Difference {
  /** `changes`: may go there before and after, by another exit or with other TLS. */
  readonly change: 'gains' | 'loses' | 'changes';
  readonly principal: string;
  /** `api.github.com:443`, `*.x.example:8000-8080`, `billing.internal:443 at 10.0.5.0/24` */
  readonly destination: string;
  /** `GET /repos/acme/**`, where that matters. */
  readonly request: string | undefined;
  /** The rule that makes it so. */
  readonly because: string;
}

type Change = Pick<Difference, 'change' | 'because'>;

/**
 * Who gains and who loses what. Both policies are asked the same questions, one for every combination of caller, host,
 * port and request that a changed rule can make a difference to.
 *
 * @param now milliseconds since the epoch: rules that have expired are not there
 */
export function diff(before: PolicyConfig, after: PolicyConfig, now: number): Difference[] {
  const policies = [compile(before), compile(after)] as const;
  const known = new Map([...callersOf(before), ...callersOf(after)].map((one) => [one.name, one]));
  const survey = new Survey([before, after]);
  const scopes = [...rulesOfBoth(before, after), everything(after)];
  const rows = new Rows();
  for (const callers of classify([...known.values()], policies)) {
    const askAll = isTreatedAnew(callers, policies);
    for (const scope of scopes) {
      if (!askAll && !(scope.changed && speaksTo(scope, callers, policies))) continue;
      for (const ask of survey.asksOf(scope.rule, scope.config)) {
        if (!rows.begin(callers, ask)) continue;
        const change = compare(policies, callers, ask, now);
        if (change !== undefined) rows.add(callers, ask, change);
      }
    }
  }
  return rows.differences();
}

/** New, gone, or in report mode on one side only: any rule may make a difference. */
function isTreatedAnew(
  { callers, principal }: CallerClass,
  [before, after]: readonly [Policy, Policy],
) {
  const [caller] = callers;
  return (
    before.subjects.of(principal).report !== after.subjects.of(principal).report ||
    (caller !== undefined && declares(before.config, caller) !== declares(after.config, caller))
  );
}

function speaksTo(
  { rule }: RuleIn,
  { principal }: CallerClass,
  policies: readonly Policy[],
): boolean {
  const wildcard = rule.effect === 'deny' ? 'everyone' : 'identified';
  return policies.some(({ subjects }) => {
    const { set } = subjects.of(principal);
    return rule.principals.some((name) => set.has(subjects.keyOf(name, wildcard)));
  });
}

function compare(
  [before, after]: readonly [Policy, Policy],
  callers: CallerClass,
  ask: Ask,
  now: number,
): Change | undefined {
  const was = decide(before, callers, ask, now);
  const is = decide(after, callers, ask, now);
  const could = was !== undefined && passes(was);
  const can = is !== undefined && passes(is);
  if (can && !could) return { change: 'gains', because: ruleText(is) };
  if (could && !can) return { change: 'loses', because: lossText(was, is) };
  if (!could || !can || settingsText(was) === settingsText(is)) return undefined;
  return { change: 'changes', because: `${settingsText(is)}; ${ruleText(is)}` };
}

/** Undefined: the policy knows no such caller. */
function decide(policy: Policy, callers: CallerClass, ask: Ask, now: number): Decision | undefined {
  const { callers: members, principal } = callers;
  if (members[0] === undefined || !declares(policy.config, members[0])) return undefined;
  const destination = { scheme: ask.scheme, host: ask.host.host, port: ask.ports.first };
  const question = { principal, destination, request: ask.request?.value, now };
  const byName = decideName(policy, question);
  if (!passes(byName) || isLeftToParent(byName, destination)) return byName;
  return decideAddress(policy, goingOn(byName, question), ask.address.ip, nothingOwn);
}

function ruleText({ rule, mode }: Decision): string {
  if (mode === 'report') return rule === undefined ? 'report mode' : `rule ${rule} only reports`;
  return `rule ${rule}`;
}

function lossText(was: Decision, is: Decision | undefined): string {
  if (is === undefined) return 'the principal is gone';
  if (is.reason === 'rule-deny') return `rule ${is.rule} denies it`;
  if (is.reason === 'policy-ambiguous') return `rule ${is.rule} ties with another`;
  return `${ruleText(was)} no longer lets it pass`;
}

function settingsText({ settings }: Decision): string {
  const exit = settings?.via === undefined ? 'no exit' : `exit ${settings.via}`;
  const parent = settings?.parent === undefined ? '' : ` ${parentText(settings.parent)}`;
  const credential = settings?.credential === undefined ? '' : `, with ${settings.credential}`;
  const opened = settings?.intercept ? ', intercepted' : '';
  return `${exit}${parent}${credential}${opened}${settings?.tls === 'off' ? ', tls off' : ''}`;
}

/** What a changed exit changes for its rules. */
function parentText({ name, resolves }: ParentHop): string {
  return `through ${name}${resolves ? ', which resolves' : ''}`;
}

interface Row extends Change {
  readonly names: readonly string[];
  readonly ask: Ask;
  readonly ports: PortRange[];
}

/** Gathers what differs, so that neighbouring ports make one line and nothing is told twice. */
class Rows {
  readonly #begun = new Set<string>();
  readonly #rows = new Map<string, Row>();

  /** False when this was asked before. */
  begin(callers: CallerClass, ask: Ask): boolean {
    const key = `${rowKey(callers, ask)} ${ask.ports.first}`;
    if (this.#begun.has(key)) return false;
    this.#begun.add(key);
    return true;
  }

  add(callers: CallerClass, ask: Ask, change: Change): void {
    const key = `${rowKey(callers, ask)} ${change.change} ${change.because}`;
    const row = this.#rows.get(key);
    if (row !== undefined) row.ports.push(ask.ports);
    else {
      const names = callers.callers.map(({ name }) => name);
      this.#rows.set(key, { ...change, names, ask, ports: [ask.ports] });
    }
  }

  differences(): Difference[] {
    const told = new Map<string, Difference>();
    for (const { names, ask, ports, change, because } of this.#rows.values()) {
      for (const range of joined(ports)) {
        const destination = `${ask.host.text}:${portText(range)}${ask.address.text}`;
        const request = ask.request?.text || undefined;
        for (const principal of names) {
          const difference = { change, principal, destination, request, because };
          told.set(JSON.stringify(difference), difference);
        }
      }
    }
    return [...withApexes(told)].sort(byPrincipal);
  }
}

function rowKey(callers: CallerClass, { host, scheme, request, address }: Ask): string {
  const caller = callers.callers[0]?.name;
  return JSON.stringify([caller, host.text, scheme, request?.text, request?.value, address.text]);
}

function joined(ranges: readonly PortRange[]): PortRange[] {
  const result: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const last = result.at(-1);
    if (last !== undefined && range.first <= last.last + 1) {
      result[result.length - 1] = { first: last.first, last: Math.max(last.last, range.last) };
    } else result.push(range);
  }
  return result;
}

function portText({ first, last }: PortRange): string {
  if (first === 1 && last === 65535) return '*';
  return first === last ? `${first}` : `${first}-${last}`;
}

/** `*.x.example` and `x.example` alike are `.x.example`. */
function* withApexes(told: ReadonlyMap<string, Difference>): Generator<Difference> {
  const dotted = (d: Difference) => ({ ...d, destination: `*.${d.destination}` });
  const bare = (d: Difference) => ({ ...d, destination: d.destination.slice(2) });
  for (const difference of told.values()) {
    if (difference.destination.startsWith('*.')) {
      const both = told.has(JSON.stringify(bare(difference)));
      yield both ? { ...difference, destination: difference.destination.slice(1) } : difference;
    } else if (!told.has(JSON.stringify(dotted(difference)))) yield difference;
  }
}

function byPrincipal(a: Difference, b: Difference): number {
  return compareText(a.principal, b.principal) || compareText(a.destination, b.destination);
}
