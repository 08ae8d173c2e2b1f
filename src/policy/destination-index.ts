import type {
  DestinationPattern,
  HostPattern,
  NetworkPattern,
  SetConfig,
} from '../config/config.ts';
import { lists } from '../core/address-class.ts';
import type { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { NetworkMap } from '../core/network-map.ts';
import type { Work } from '../core/work.ts';
import { NameTable, NONE, type Reach } from './name-table.ts';
import type { CompiledRule } from './rule.ts';
import { type Place, type Rules, type RuleVisitor, visitRules, withRule } from './rule-cells.ts';
import type { Spelling } from './spelling.ts';
import type { Subject } from './subjects.ts';

type SetPattern = Extract<DestinationPattern, { readonly kind: 'set' }>;

/** A network, and the number of the list of its rules. */
interface Network extends Place {
  readonly list: number;
}

/** Who says that an entry belongs to a rule. */
type Origin = 'rule' | 'set' | 'publisher';

const ANY: Place = { rank: 0, network: undefined };

/** From a destination to the rules that speak of it, however many others there are. */
export class DestinationIndex<R extends CompiledRule> {
  readonly #names = new NameTable();
  readonly #networks = new NetworkMap<Network>();
  /** Of the rules for one pattern, or for one set: its entries all lead to the same list, however many rules name it. */
  readonly #lists: Rules<R>[] = [];
  /** The lists of sets and networks, by their texts. */
  readonly #opened = new Map<string, number>();
  readonly #sets: ReadonlyMap<string, SetConfig>;
  readonly #spelling: Spelling;
  #any: Rules<R> | undefined;

  /** @param spelling one for all indices that are asked about the same names */
  constructor(sets: ReadonlyMap<string, SetConfig>, spelling: Spelling) {
    this.#sets = sets;
    this.#spelling = spelling;
  }

  *adding(rule: R): Work<void> {
    for (const pattern of rule.config.to) {
      if (pattern.kind === 'any') this.#any = withRule(this.#any, rule);
      else if (pattern.kind === 'host') this.#addNamed(pattern, pattern.host, 'exact', rule);
      else if (pattern.kind === 'suffix') {
        this.#addNamed(pattern, pattern.suffix, 'below', rule);
        if (pattern.apex) this.#addNamed(pattern, pattern.suffix, 'exact', rule);
      } else yield* this.#addingOpened(pattern, rule);
      yield;
    }
  }

  /** By the patterns that match a name: itself, the suffixes of its labels, and `*`. */
  visitNamed({ name }: Hostname, subject: Subject, visitor: RuleVisitor<R>): void {
    const spelling = this.#spelling.read(name);
    const names = this.#names;
    for (let end = spelling.count - 1; end >= 0; end--) {
      const reach = end === spelling.count - 1 ? 'exact' : 'below';
      let entry = names.first(spelling, end, reach);
      for (; entry !== NONE; entry = names.next(entry, spelling, end, reach)) {
        const rules = this.#lists[names.list(entry)] as Rules<R>;
        visitRules(rules, subject, { rank: names.rank(entry), network: undefined }, visitor);
      }
    }
    this.visitAny(subject, visitor);
  }

  /** By the networks that list an address, in the form that is dialled or as the IPv4 address inside. */
  visitListing(ip: Ip, subject: Subject, visitor: RuleVisitor<R>): void {
    const { inner } = ip;
    for (const each of inner === undefined ? [ip] : [ip, inner]) {
      for (const network of this.#networks.find(each))
        visitRules(this.#lists[network.list] as Rules<R>, subject, network, visitor);
    }
  }

  /** By `*`. */
  visitAny(subject: Subject, visitor: RuleVisitor<R>): void {
    if (this.#any !== undefined) visitRules(this.#any, subject, ANY, visitor);
  }

  #addNamed(pattern: HostPattern, { name }: Hostname, reach: Reach, rule: R): void {
    const rank = patternRank(pattern, false);
    const spelling = this.#spelling.read(name);
    const known = this.#entryOf(spelling, reach, rank);
    if (known !== NONE) this.#extend(this.#names.list(known), rule);
    else this.#names.add(spelling, reach, this.#lists.push(rule) - 1, rank);
  }

  #entryOf(spelling: Spelling, reach: Reach, rank: number): number {
    const names = this.#names;
    const whole = spelling.count - 1;
    let entry = names.first(spelling, whole, reach);
    while (entry !== NONE && names.rank(entry) !== rank)
      entry = names.next(entry, spelling, whole, reach);
    return entry;
  }

  *#addingOpened(pattern: NetworkPattern | SetPattern, rule: R): Work<void> {
    const key = `${pattern.kind} ${patternText(pattern)}`;
    const known = this.#opened.get(key);
    if (known !== undefined) return this.#extend(known, rule);
    const list = this.#lists.push(rule) - 1;
    this.#opened.set(key, list);
    if (pattern.kind === 'network') this.#open(pattern, list, 'rule');
    else {
      const origin = this.#sets.get(pattern.set)?.published === undefined ? 'set' : 'publisher';
      for (const entry of entriesOf(this.#sets, pattern.set)) {
        this.#open(entry, list, origin);
        yield;
      }
    }
  }

  #extend(list: number, rule: R): void {
    this.#lists[list] = withRule(this.#lists[list], rule);
  }

  #open(entry: HostPattern | NetworkPattern, list: number, origin: Origin): void {
    const rank = patternRank(entry, origin !== 'rule');
    if (entry.kind === 'network') {
      const network = origin === 'publisher' ? undefined : entry.cidr;
      this.#networks.add(entry.cidr, { list, rank, network });
    } else if (entry.kind === 'host') {
      this.#names.add(this.#spelling.read(entry.host.name), 'exact', list, rank);
    } else {
      const spelling = this.#spelling.read(entry.suffix.name);
      this.#names.add(spelling, 'below', list, rank);
      if (entry.apex) this.#names.add(spelling, 'exact', list, rank);
    }
  }
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
