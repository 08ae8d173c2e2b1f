import { lists, opens, type SpecialRange, specialRange } from '../core/address-class.ts';
import type { Cidr, Ip } from '../core/ip.ts';
import type { ListedNetworks } from '../core/networks.ts';
import type { CompiledAllow } from './rule.ts';
import type { Place } from './rule-cells.ts';

/** What the gateway knows of its own host. */
export interface OwnAddresses {
  isOwn(ip: Ip): boolean;
  /** Whether this gateway itself listens there. */
  isListener(ip: Ip, port: number): boolean;
}

/** For questions that are asked away from any gateway. */
export const nothingOwn: OwnAddresses = { isOwn: () => false, isListener: () => false };

/** An address that may be dialled, and what it is. */
export interface Dialled {
  readonly ip: Ip;
  /** Undefined: public. */
  readonly range: SpecialRange | undefined;
  readonly own: boolean;
  readonly listener: boolean;
}

export function classify(ip: Ip, port: number, own: OwnAddresses): Dialled {
  // A translated address (NAT64, 6to4) comes out at the address inside.
  const inner = ip.inner ?? ip;
  return {
    ip,
    range: specialRange(ip),
    own: own.isOwn(ip) || own.isOwn(inner),
    listener: own.isListener(ip, port) || own.isListener(inner, port),
  };
}

export function isPublic({ range, own }: Dialled): boolean {
  return range === undefined && !own;
}

/**
 * Whether an allow rule that was reached through a place permits an address: it must be listed, where the rule lists
 * addresses at all, and unless it is public, an entry must open it. Whoever publishes a list elsewhere opens nothing.
 */
export function permits(rule: CompiledAllow, place: Place, dialled: Dialled): boolean {
  const { addresses } = rule;
  if (addresses !== undefined && !isListed(addresses, dialled.ip)) return false;
  if (isPublic(dialled)) return true;
  return (
    (place.network !== undefined && opensTo(place.network, dialled)) ||
    (addresses?.own.some((cidr) => opensTo(cidr, dialled)) ?? false)
  );
}

function isListed({ own, published }: ListedNetworks, ip: Ip): boolean {
  const { inner } = ip;
  return (
    own.some((cidr) => lists(cidr, ip)) ||
    published.some((set) => set.has(ip) || (inner !== undefined && set.has(inner)))
  );
}

function opensTo(cidr: Cidr, { ip, range, own }: Dialled): boolean {
  if (own || range === undefined) return cidr.exact && lists(cidr, ip);
  return opens(cidr, ip, range);
}

/** What stands in the way of an address that no rule permits, without the address. */
export function forbiddenDetail({ range, own }: Dialled): string {
  if (own) return "The address is one of the gateway's own host; a rule must name it exactly.";
  if (range === undefined)
    return 'The rule lists the addresses it permits, and this is none of them.';
  const how = range.exactOnly ? 'name it exactly' : 'name it or its network';
  return `The address is of the kind "${range.name}"; a rule must ${how} under addresses.`;
}
