import type { Cidr, Ip } from './ip.ts';
import { NetworkMap } from './network-map.ts';
import type { Work } from './work.ts';

/** Networks as a configuration lists them: each itself, or the name of a set that follows a published list. */
export type NetworkList = readonly (Cidr | string)[];

/** A set, to those who look for its networks. */
export interface NetworkHolder {
  readonly entries: readonly (
    | { readonly kind: 'network'; readonly cidr: Cidr }
    | { readonly kind: 'host' | 'suffix' }
  )[];
  /** Present where the networks are published elsewhere. */
  readonly published?: unknown;
  /** What is known of them is too old to let anybody pass. */
  readonly closed?: boolean;
}

/** All networks of a list, with those of the sets that it names. */
export function networksIn(
  list: NetworkList,
  sets: ReadonlyMap<string, NetworkHolder>,
): readonly Cidr[] {
  return list.flatMap((one) => (typeof one === 'string' ? heldBy(sets.get(one)) : [one]));
}

function heldBy(set: NetworkHolder | undefined): Cidr[] {
  // Read as empty, an undefined set would open whatever is closed by it.
  if (set === undefined) throw new TypeError('a list of networks names an undefined set');
  return set.entries.flatMap((entry) => ('cidr' in entry ? [entry.cidr] : []));
}

/** Up to here, asking each network is quicker than looking its address up. */
const FEW = 8;

/** Whether addresses lie in networks, however many these are. */
export class Networks {
  readonly #few: readonly Cidr[];
  readonly #map = new NetworkMap<true>();

  private constructor(few: readonly Cidr[]) {
    this.#few = few;
  }

  static *making(cidrs: readonly Cidr[]): Work<Networks> {
    if (cidrs.length <= FEW) return new Networks(cidrs);
    const networks = new Networks([]);
    for (const cidr of cidrs) {
      networks.#map.add(cidr, true);
      yield;
    }
    return networks;
  }

  has(ip: Ip): boolean {
    for (const cidr of this.#few) if (cidr.contains(ip)) return true;
    return this.#map.has(ip);
  }
}

/** The networks of every set that follows a published list, made once for all who name it. */
export class PublishedNetworks {
  readonly #known: ReadonlyMap<string, Networks>;
  readonly #closed: ReadonlySet<string>;

  private constructor(known: ReadonlyMap<string, Networks>, closed: ReadonlySet<string>) {
    this.#known = known;
    this.#closed = closed;
  }

  static *making(sets: ReadonlyMap<string, NetworkHolder>): Work<PublishedNetworks> {
    const known = new Map<string, Networks>();
    const closed = new Set<string>();
    for (const [name, set] of sets) {
      if (set.published === undefined) continue;
      known.set(name, yield* Networks.making(heldBy(set)));
      if (set.closed) closed.add(name);
      yield;
    }
    return new PublishedNetworks(known, closed);
  }

  /** Where no set follows a list. */
  static readonly none = new PublishedNetworks(new Map(), new Set());

  /** Whether a set is closed. */
  get someClosed(): boolean {
    return this.#closed.size > 0;
  }

  of(list: NetworkList): ListedNetworks {
    const names = list.filter((one) => typeof one === 'string');
    const sets = (these: readonly string[]) =>
      these.map((name) => {
        const set = this.#known.get(name);
        if (set === undefined) throw new TypeError(`no networks are published for ${name}`);
        return set;
      });
    return {
      own: list.filter((one) => typeof one !== 'string'),
      published: sets(names),
      open: sets(names.filter((name) => !this.#closed.has(name))),
    };
  }
}

/** A list, made ready to be asked. */
export interface ListedNetworks {
  /** What it says itself. */
  readonly own: readonly Cidr[];
  /** What its sets hold. */
  readonly published: readonly Networks[];
  /** The same without sets that are closed. */
  readonly open: readonly Networks[];
}

/**
 * Whether an address lies in a list. `unsure`: only by a set that is closed. Whoever asks has to take whichever answer lets
 * less pass, since nobody knows what such a set holds by now.
 */
export function liesIn({ own, published, open }: ListedNetworks, ip: Ip): boolean | 'unsure' {
  if (own.some((cidr) => cidr.contains(ip)) || open.some((set) => set.has(ip))) return true;
  if (open.length === published.length) return false;
  return published.some((set) => set.has(ip)) ? 'unsure' : false;
}
