import { lists } from './address-class.ts';
import type { Cidr, Ip } from './ip.ts';

/** Whether an address lies in the networks that the operator owns. */
export type Side = 'internal' | 'external';

/** The three parties of an exchange; null where the exchange ended before they were known. */
export interface Parties {
  readonly client: Ip;
  /** The next hop, which is dialled: the parent proxy where there is one, else the destination's address. */
  readonly way: Ip | null;
  /** The address of the destination itself. */
  readonly destination: Ip | null;
}

export interface TrafficClass {
  readonly client: Side;
  readonly way: Side | null;
  readonly destination: Side | null;
  /** Whether any party lies outside: true as soon as one is known to, false when all three are known not to. */
  readonly external: boolean | null;
}

/** @param owned `networks.owned`; an address that stands for an IPv4 address lies where either of the two does */
export function classify(parties: Parties, owned: readonly Cidr[]): TrafficClass {
  const side = (ip: Ip): Side => (owned.some((cidr) => lists(cidr, ip)) ? 'internal' : 'external');
  const client = side(parties.client);
  const way = parties.way && side(parties.way);
  const destination = parties.destination && side(parties.destination);
  return { client, way, destination, external: anyExternal([client, way, destination]) };
}

function anyExternal(sides: readonly (Side | null)[]): boolean | null {
  if (sides.includes('external')) return true;
  return sides.includes(null) ? null : false;
}
