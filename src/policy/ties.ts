import type { ReadableRequest } from '../core/conversation.ts';
import type { Destination } from '../core/destination.ts';
import { type Diagnostic, quote } from '../core/diagnostic.ts';
import { NetworkMap } from '../core/network-map.ts';
import type { Policy, PolicyConfig } from './compile.ts';
import { entriesOf, patternText } from './destination-index.ts';
import { commonPath } from './path.ts';
import type { Entry } from './pattern-set.ts';
import { pointsOf } from './points.ts';
import { Asked, type CompiledAllow, type CompiledRule } from './rule.ts';
import type { RuleCallers } from './rule-callers.ts';
import { findAllow, findDeny } from './search.ts';

/** Allow rules that meet at patterns of one rank. */
interface Meeting {
  readonly rules: readonly CompiledAllow[];
  /** Where they meet. */
  readonly entries: readonly Entry[];
}

/** Pairs of allow rules that are equally specific somewhere and would pass the exchange in different ways. */
export function findTies(
  rules: readonly CompiledRule[],
  policy: Policy,
  callers: RuleCallers,
  now: number,
): Diagnostic[] {
  const allows = rules.filter((rule): rule is CompiledAllow => rule.config.effect === 'allow');
  const found = new Map<string, Diagnostic>();
  for (const meeting of meetingsOf(allows, policy.config)) {
    for (const asked of questionsAt(meeting, policy, callers, now)) {
      const { rule, rival } = findAllow(policy.allows, asked, undefined);
      const denied = findDeny(policy.denies, asked, undefined);
      if (rule === undefined || rival === undefined || denied?.config.report === false) continue;
      found.set(`${rule.name} ${rival.name}`, tie(rule, rival));
    }
  }
  return [...found.values()];
}

function tie(rule: CompiledAllow, rival: CompiledAllow): Diagnostic {
  const keys = (['via', 'tls', 'with', 'intercept', 'addresses'] as const).filter(
    (key) => String(rule.config[key]) !== String(rival.config[key]),
  );
  return {
    severity: 'fault',
    at: rival.config.at,
    message:
      `the rules ${quote(rule.name)} and ${quote(rival.name)} are equally specific and differ in ` +
      keys.join(', '),
    remedy: 'make one of them more specific, or give both the same settings',
  };
}

/** Rules that name the same pattern or set, and rules whose sets have an entry in common; only where settings differ. */
function meetingsOf(allows: readonly CompiledAllow[], config: PolicyConfig): Meeting[] {
  const places = new Map<string, { rules: CompiledAllow[]; entries: readonly Entry[] }>();
  for (const rule of allows) {
    for (const pattern of rule.config.to) {
      const entries =
        pattern.kind === 'set' ? entriesOf(config.sets, pattern.set).slice(0, FEW) : [pattern];
      const key = pattern.kind === 'set' ? `set ${pattern.set}` : placeOf(pattern);
      const place = places.get(key) ?? { rules: [], entries };
      places.set(key, place);
      place.rules.push(rule);
    }
  }
  const meetings = [...places.values(), ...sharedEntries(places, config)];
  return meetings.filter(({ rules }) => new Set(rules.map((rule) => rule.signature)).size > 1);
}

/** Of a set that several rules name, so many entries are tried: one may lie where a more specific rule decides. */
const FEW = 5;

/** `.x` and `*.x` are equally specific. */
function placeOf(entry: Entry): string {
  return entry.kind === 'suffix'
    ? `suffix ${entry.suffix.name}`
    : `${entry.kind} ${patternText(entry)}`;
}

function sharedEntries(
  places: ReadonlyMap<string, { readonly rules: readonly CompiledAllow[] }>,
  { sets }: PolicyConfig,
): Meeting[] {
  const holders = new Map<string, { entry: Entry; sets: string[] }>();
  for (const [name, { entries }] of sets) {
    if (!places.has(`set ${name}`)) continue;
    for (const entry of entries) {
      const holder = holders.get(placeOf(entry)) ?? { entry, sets: [] };
      holders.set(placeOf(entry), holder);
      holder.sets.push(name);
    }
  }
  const meetings = new Map<string, Meeting>();
  for (const { entry, sets: names } of holders.values()) {
    const key = names.join(' ');
    const known = meetings.get(key);
    if (names.length < 2 || (known !== undefined && known.entries.length >= FEW)) continue;
    const rules = known?.rules ?? names.flatMap((name) => places.get(`set ${name}`)?.rules ?? []);
    meetings.set(key, { rules, entries: [...(known?.entries ?? []), entry] });
  }
  return [...meetings.values()];
}

/** Questions that two of the rules may both match. */
function* questionsAt(
  { rules, entries }: Meeting,
  policy: Policy,
  callers: RuleCallers,
  now: number,
): Generator<Asked> {
  const hosts = entries.flatMap((entry) => pointsOf(entry, new NetworkMap()));
  for (const caller of callers.classes) {
    const { principal } = caller;
    const subject = policy.subjects.of(principal);
    const meant = rules.filter((rule) => callers.isFor(rule, caller));
    if (new Set(meant.map(({ signature }) => signature)).size < 2) continue;
    for (const { host } of hosts) {
      for (const { scheme, port, request } of waysOf(meant)) {
        yield new Asked({ principal, destination: { scheme, host, port }, request, now }, subject);
      }
    }
  }
}

interface Way extends Pick<Destination, 'scheme' | 'port'> {
  readonly request: ReadableRequest | undefined;
}

function waysOf(rules: readonly CompiledAllow[]): Way[] {
  const listed = rules.flatMap(({ config }) => config.ports ?? []);
  const ports = new Set([443, 80, ...listed.map(({ first }) => first)]);
  const requests = requestsOf(rules);
  return [...ports].flatMap((port): Way[] => [
    { scheme: 'tunnel', port, request: undefined },
    ...requests.map((request): Way => ({ scheme: 'http', port, request })),
  ]);
}

// What a third, more specific rule on methods or paths leaves to the two.
const OTHER_METHOD = 'OTHER';
const UNCLEAR_PATH = '/..';

function requestsOf(rules: readonly CompiledAllow[]): ReadableRequest[] {
  const methods = new Set([OTHER_METHOD, ...rules.flatMap((rule) => [...(rule.methods ?? [])])]);
  const globs = [...new Set(rules.flatMap(({ paths }) => paths?.map(({ text }) => text) ?? []))];
  const paths = new Set([UNCLEAR_PATH]);
  for (const [i, a] of globs.entries()) {
    for (const b of globs.slice(i)) {
      // Patterns of different lengths never tie.
      const path = a.length === b.length ? commonPath(a, b) : undefined;
      if (path !== undefined) paths.add(path);
    }
  }
  return [...methods].flatMap((method) => [...paths].map((path) => ({ method, path })));
}
