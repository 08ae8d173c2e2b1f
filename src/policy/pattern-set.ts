import type {
  DestinationPattern,
  HostPattern,
  NetworkPattern,
  RuleConfig,
} from '../config/config.ts';
import { NetworkMap } from '../core/network-map.ts';
import type { PolicyConfig } from './compile.ts';
import { entriesOf, patternText } from './destination-index.ts';

/** What a set or a rule's `to` comes down to. */
export type Entry = HostPattern | NetworkPattern | { readonly kind: 'any' };

/** What a rule's `to` comes down to, with the entries of its sets. */
export function entriesIn(rule: RuleConfig, { sets }: PolicyConfig): Entry[] {
  return rule.to.flatMap((pattern: DestinationPattern): readonly Entry[] =>
    pattern.kind === 'set' ? entriesOf(sets, pattern.set) : [pattern],
  );
}

/** Patterns to look others up in: which of them cover one, which lie inside one. */
export class PatternSet {
  readonly #entries = new Map<string, Entry>();
  readonly #exact = new Map<string, Entry[]>();
  readonly #below = new Map<string, Entry[]>();
  readonly #networks = new NetworkMap<Entry>();
  #any: Entry | undefined;

  constructor(entries: Iterable<Entry>) {
    for (const entry of entries) this.#add(entry);
  }

  #add(entry: Entry): void {
    const text = `${entry.kind} ${patternText(entry)}`;
    if (this.#entries.has(text)) return;
    this.#entries.set(text, entry);
    if (entry.kind === 'any') this.#any = entry;
    else if (entry.kind === 'network') this.#networks.add(entry.cidr, entry);
    else if (entry.kind === 'host') push(this.#exact, entry.host.name, entry);
    else push(this.#below, entry.suffix.name, entry);
  }

  get all(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** Those that match whatever the entry matches; `*` covers names only. */
  covering(entry: Entry): Entry[] {
    if (entry.kind === 'any') return this.#any === undefined ? [] : [this.#any];
    if (entry.kind === 'network') {
      const around = this.#networks.find(entry.cidr.base);
      return around.filter((each) => each.kind === 'network' && each.cidr.bits <= entry.cidr.bits);
    }
    const name = entry.kind === 'host' ? entry.host.name : entry.suffix.name;
    const found = entry.kind === 'host' ? [...(this.#exact.get(name) ?? [])] : [];
    for (const each of this.#below.get(name) ?? []) {
      if (each.kind === 'suffix' && (each.apex || (entry.kind === 'suffix' && !entry.apex)))
        found.push(each);
    }
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      found.push(...(this.#below.get(name.slice(dot + 1)) ?? []));
    }
    return this.#any === undefined ? found : [...found, this.#any];
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
