import type { PortRange, RuleConfig } from '../config/config.ts';
import type { ReadableRequest } from '../core/conversation.ts';
import type { Scheme } from '../core/destination.ts';
import { type Cidr, Ip } from '../core/ip.ts';
import { NetworkMap } from '../core/network-map.ts';
import { networksIn } from '../core/networks.ts';
import type { PolicyConfig } from './compile.ts';
import { patternText } from './destination-index.ts';
import { type Entry, entriesIn, PatternSet } from './pattern-set.ts';
import { addressIn, type HostPoint, pointsOf } from './points.ts';

/** One question that stands for all those that no rule tells from it. */
export interface Ask {
  readonly host: HostPoint;
  readonly scheme: Scheme;
  readonly ports: PortRange;
  readonly request: { readonly text: string; readonly value: ReadableRequest } | undefined;
  /** What the name resolves to: a public address, or one of those that rules list. */
  readonly address: { readonly text: string; readonly ip: Ip };
}

const PUBLIC = ['11.0.0.1', '12.1.2.3', '44.3.2.1', '99.9.9.9'];
const ALL_PORTS: PortRange = { first: 1, last: 65535 };

/** All that one or two policies speak of, so that each rule can be asked about where an answer may turn. */
export class Survey {
  readonly #networks = new NetworkMap<Cidr>();
  /** From a pattern to those that lie inside it. */
  readonly #inside = new Map<string, Entry[]>();
  readonly #literals: Entry[] = [];
  readonly #names: Entry[] = [];
  readonly #cuts: readonly number[];

  constructor(configs: readonly PolicyConfig[]) {
    const entries = configs.flatMap((config) =>
      config.rules.flatMap((rule) => entriesIn(rule, config)),
    );
    const patterns = new PatternSet([...entries, { kind: 'any' }]);
    for (const entry of patterns.all) {
      (entry.kind === 'network' ? this.#literals : this.#names).push(entry);
      if (entry.kind === 'network') this.#networks.add(entry.cidr, entry.cidr);
      for (const around of patterns.covering(entry)) push(this.#inside, keyOf(around), entry);
    }
    for (const config of configs) {
      for (const rule of config.rules)
        for (const cidr of addressesOf(rule, config)) this.#networks.add(cidr, cidr);
    }
    this.#cuts = cutsOf(configs.flatMap(({ rules }) => rules));
  }

  /** Every question to which the rule may make a difference. */
  *asksOf(rule: RuleConfig, config: PolicyConfig): Generator<Ask> {
    const requests = requestsOf(rule);
    for (const scheme of requests === undefined
      ? (['tunnel', 'http'] as const)
      : (['http'] as const)) {
      const plain =
        scheme === 'http' ? { text: '', value: { method: 'GET', path: '/' } } : undefined;
      for (const host of this.hosts(rule, config)) {
        for (const address of this.#addresses(rule, config, host)) {
          for (const ports of this.ports(rule, scheme)) {
            for (const request of requests ?? [plain])
              yield { host, scheme, ports, request, address };
          }
        }
      }
    }
  }

  /** Where the rule applies. */
  hosts(rule: RuleConfig, config: PolicyConfig): HostPoint[] {
    const own = entriesIn(rule, config);
    const inside = new Set(own.flatMap((entry) => this.#inside.get(keyOf(entry)) ?? [entry]));
    if (rule.effect === 'allow' && own.some(({ kind }) => kind === 'network')) {
      for (const cidr of addressesOf(rule, config)) inside.add({ kind: 'network', cidr });
    }
    if (rule.effect === 'deny') {
      if (own.some(({ kind }) => kind === 'any'))
        for (const entry of this.#literals) inside.add(entry);
      // A denied network is denied to every name that resolves into it.
      if (own.some(({ kind }) => kind === 'network'))
        for (const entry of this.#names) inside.add(entry);
    }
    return [...inside].flatMap((entry) => pointsOf(entry, this.#networks));
  }

  #addresses(rule: RuleConfig, config: PolicyConfig, { host }: HostPoint): Ask['address'][] {
    if (host instanceof Ip) return [{ text: '', ip: host }];
    const listed =
      rule.effect === 'allow'
        ? addressesOf(rule, config)
        : entriesIn(rule, config).flatMap((entry) =>
            entry.kind === 'network' ? [entry.cidr] : [],
          );
    return [
      { text: '', ip: this.#publicAddress() },
      ...listed.map((cidr) => ({ text: ` at ${cidr}`, ip: addressIn(cidr, this.#networks) })),
    ];
  }

  #publicAddress(): Ip {
    const candidates = PUBLIC.flatMap((text) => Ip.parse(text) ?? []);
    const isUnlisted = (ip: Ip) => this.#networks.find(ip).every(({ bits }) => bits === 0);
    return candidates.find(isUnlisted) ?? (candidates[0] as Ip);
  }

  ports(rule: RuleConfig, scheme: Scheme): PortRange[] {
    if (rule.ports === undefined && rule.effect === 'allow') {
      const ports = scheme === 'http' ? [80, 443] : [443];
      return ports.map((port) => ({ first: port, last: port }));
    }
    return (rule.ports ?? [ALL_PORTS]).flatMap((range) => split(range, this.#cuts));
  }
}

function addressesOf(rule: RuleConfig, { sets }: PolicyConfig): readonly Cidr[] {
  return rule.effect === 'allow' ? networksIn(rule.addresses ?? [], sets) : [];
}

function keyOf(entry: Entry): string {
  return `${entry.kind} ${patternText(entry)}`;
}

/** Undefined: the rule does not look at requests. */
function requestsOf({ methods, paths }: RuleConfig): Ask['request'][] | undefined {
  if (methods === undefined && paths === undefined) return undefined;
  return (methods ?? ['GET']).flatMap((method) =>
    (paths ?? ['/']).flatMap((path) => {
      const text = [methods && method, paths && path].filter(Boolean).join(' ');
      // One segment deep and two: a narrower pattern may stand in for one of them.
      const samples = new Set(
        ['x', 'x/x'].map((deep) => path.replace(/\*{2,}/g, deep).replace(/\*/g, 'x')),
      );
      return [...samples].map((sample) => ({ text, value: { method, path: sample } }));
    }),
  );
}

/** The ports at which an answer may turn. */
function cutsOf(rules: readonly RuleConfig[]): number[] {
  const ranges = [
    { first: 80, last: 80 },
    { first: 443, last: 443 },
    ...rules.flatMap(({ ports }) => ports ?? []),
  ];
  return [...new Set(ranges.flatMap(({ first, last }) => [first, last + 1]))].sort((a, b) => a - b);
}

function split({ first, last }: PortRange, cuts: readonly number[]): PortRange[] {
  const starts = [first, ...cuts.filter((cut) => cut > first && cut <= last)];
  return starts.map((start, i) => ({ first: start, last: (starts[i + 1] ?? last + 1) - 1 }));
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
