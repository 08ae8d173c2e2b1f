import type {
  DestinationPattern,
  HostPattern,
  NetworkPattern,
  SetConfig,
} from '../config/config.ts';
import { lists } from '../core/address-class.ts';
import type { Hostname } from '../core/hostname.ts';
import { type Cidr, Ip } from '../core/ip.ts';
import { NetworkMap } from '../core/network-map.ts';
import type { CompiledRule } from './rule.ts';
import type { Subject } from './subjects.ts';

/** Up to here, asking each rule whom it is for is quicker than looking its callers up. */
const FEW = 8;

/** Rules for the same destinations, by whom they are for. */
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

  /** Visits every rule that is for this caller, some perhaps twice. */
  visit(subject: Subject, visit: (rule: R) => void): void {
    const cells = this.#cells;
    if (cells === undefined) {
      for (const rule of this.#rules) {
        if (rule.subjects.some((key) => subject.set.has(key))) visit(rule);
      }
    } else if (cells.size < subject.keys.length) {
      for (const [key, rules] of cells) if (subject.set.has(key)) rules.forEach(visit);
    } else {
      for (const key of subject.keys) cells.get(key)?.forEach(visit);
    }
  }
}

function fileByCaller<R extends CompiledRule>(cells: Map<string, R[]>, rule: R): void {
  for (const key of rule.subjects) file(cells, key, rule);
}

/** The rules that one pattern leads to. */
export interface Place<R extends CompiledRule> {
  readonly rules: RuleCells<R>;
  /** How specific the pattern is among all patterns. */
  readonly rank: number;
  /** The network, where the pattern is one. */
  readonly network: Cidr | undefined;
}

/** From a destination to the rules that speak of it, however many others there are. */
export class DestinationIndex<R extends CompiledRule> {
  readonly #exact = new Map<string, Place<R>[]>();
  readonly #below = new Map<string, Place<R>[]>();
  /** Saves looking up most of the suffixes that are none. */
  readonly #suffixLengths = new Set<number>();
  readonly #networks = new NetworkMap<Place<R>>();
  #any: Place<R> | undefined;
  readonly #cells = new Map<string, RuleCells<R>>();
  readonly #sets: ReadonlyMap<string, SetConfig>;

  constructor(sets: ReadonlyMap<string, SetConfig>) {
    this.#sets = sets;
  }

  add(rule: R): void {
    for (const pattern of rule.config.to) this.#cellsOf(pattern).add(rule);
  }

  /** The patterns that match a name: itself, the suffixes of its labels, and `*`. */
  named({ name }: Hostname): Place<R>[] {
    const places = this.#exact.get(name)?.slice() ?? [];
    if (this.#below.size > 0) {
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        if (!this.#suffixLengths.has(name.length - dot - 1)) continue;
        const below = this.#below.get(name.slice(dot + 1));
        if (below !== undefined) places.push(...below);
      }
    }
    if (this.#any !== undefined) places.push(this.#any);
    return places;
  }

  /** The networks that list an address, in the form that is dialled or as the IPv4 address inside. */
  listing(ip: Ip): Place<R>[] {
    const inner = ip.inner;
    const places = this.#networks.find(ip);
    return inner === undefined ? places : places.concat(this.#networks.find(inner));
  }

  get any(): Place<R> | undefined {
    return this.#any;
  }

  #cellsOf(pattern: DestinationPattern): RuleCells<R> {
    const key = `${pattern.kind} ${patternText(pattern)}`;
    let cells = this.#cells.get(key);
    if (cells === undefined) {
      cells = new RuleCells();
      this.#cells.set(key, cells);
      this.#open(pattern, cells);
    }
    return cells;
  }

  /** Makes a pattern lead to its cells. The hosts of a set all lead to the same ones, however many rules name the set. */
  #open(pattern: DestinationPattern, rules: RuleCells<R>): void {
    if (pattern.kind === 'any') {
      this.#any = { rules, rank: patternRank(pattern, false), network: undefined };
    } else if (pattern.kind === 'set') {
      for (const entry of entriesOf(this.#sets, pattern.set)) this.#openEntry(entry, rules, true);
    } else this.#openEntry(pattern, rules, false);
  }

  #openEntry(entry: HostPattern | NetworkPattern, rules: RuleCells<R>, inSet: boolean): void {
    const rank = patternRank(entry, inSet);
    if (entry.kind === 'network') {
      this.#networks.add(entry.cidr, { rules, rank, network: entry.cidr });
      return;
    }
    const place: Place<R> = { rules, rank, network: undefined };
    if (entry.kind === 'host') file(this.#exact, entry.host.name, place);
    else {
      file(this.#below, entry.suffix.name, place);
      this.#suffixLengths.add(entry.suffix.name.length);
      if (entry.apex) file(this.#exact, entry.suffix.name, place);
    }
  }
}

function file<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

export function entriesOf(
  sets: ReadonlyMap<string, SetConfig>,
  name: string,
): SetConfig['entries'] {
  const set = sets.get(name);
  // Read as empty, an undefined set would open whatever a deny closes by it.
  if (set === undefined) throw new TypeError(`a rule names the undefined set ${name}`);
  return set.entries;
}

/** As a person writes it. */
export function patternText(pattern: DestinationPattern): string {
  if (pattern.kind === 'host') return pattern.host.name;
  if (pattern.kind === 'suffix') return `${pattern.apex ? '' : '*'}.${pattern.suffix.name}`;
  if (pattern.kind === 'network') return pattern.cidr.toString();
  return pattern.kind === 'set' ? pattern.set : '*';
}

const KINDS = { host: 3, suffix: 2, network: 1 } as const;

/** Exact host, longest suffix, longest network; then the same within sets; then `*`. Below 4096. */
export function patternRank(
  pattern: HostPattern | NetworkPattern | { readonly kind: 'any' },
  inSet: boolean,
): number {
  if (pattern.kind === 'any') return 0;
  return ((inSet ? 0 : 3) + KINDS[pattern.kind]) * 512 + length(pattern);
}

function length(pattern: HostPattern | NetworkPattern): number {
  if (pattern.kind === 'host') return 0;
  if (pattern.kind === 'suffix') return pattern.suffix.name.split('.').length;
  const { base, bits } = pattern.cidr;
  // An address may lie in an IPv6 network and, by the IPv4 inside, in an IPv4 one: the two are never equally specific.
  return base.family === 4 ? 2 * (96 + bits) : 2 * bits + 1;
}

/** Whether a pattern matches what was asked for. */
export function matchesHost(pattern: HostPattern | NetworkPattern, host: Hostname | Ip): boolean {
  if (host instanceof Ip) return pattern.kind === 'network' && lists(pattern.cidr, host);
  if (pattern.kind === 'host') return pattern.host.name === host.name;
  if (pattern.kind !== 'suffix') return false;
  const suffix = pattern.suffix.name;
  return host.name.endsWith(`.${suffix}`) || (pattern.apex && host.name === suffix);
}
