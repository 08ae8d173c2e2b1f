import type { Cidr } from '../../core/ip.ts';
import { type Permission, permissionText } from '../../core/permission.ts';

/** What an allow-list says in one line: this network, and for what. */
export interface Entry {
  readonly network: Cidr;
  /** Undefined where a list knows addresses alone. */
  readonly permission: Permission | undefined;
}

/** An entry that is there. */
export interface HeldEntry extends Entry {
  /** By which it is taken away. */
  readonly id: string;
  /** It carries the mark of this target; all others are somebody else's, and stay. */
  readonly ours: boolean;
}

/** An entry at its container. */
export interface Placed<E extends Entry = Entry> {
  readonly container: string;
  readonly entry: E;
}

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

/** A group, a list, a set: what holds entries, and how many. */
export interface Container {
  readonly id: string;
  readonly held: readonly HeldEntry[];
  /** Places that something else than an entry takes: references to lists and groups. */
  readonly reserved: Readonly<Record<Family, number>>;
  /** Entries of each family that fit into it, whoever they belong to. */
  readonly quota: Readonly<Record<Family, number>>;
}

/** The same for entries that say the same. */
export function entryKey({ network, permission }: Entry): string {
  return permission === undefined ? network.text : `${network.text} ${permissionText(permission)}`;
}

export function familyOf({ network }: Entry): Family {
  return network.base.family;
}

/** Whether some connection is for both. */
export function overlaps(a: Permission, b: Permission): boolean {
  if (a.protocol === 'all' || b.protocol === 'all') return true;
  if (a.protocol !== b.protocol) return false;
  if (a.ports === undefined || b.ports === undefined) return true;
  return a.ports.first <= b.ports.last && b.ports.first <= a.ports.last;
}

/** Whether whatever the one lets pass, the other does too. */
export function covers(other: Entry, one: Entry): boolean {
  if (!one.network.inside(other.network)) return false;
  if (one.permission === undefined || other.permission === undefined) return true;
  const { protocol, ports } = other.permission;
  if (protocol === 'all') return true;
  if (protocol !== one.permission.protocol) return false;
  if (ports === undefined) return true;
  const inner = one.permission.ports;
  return inner !== undefined && ports.first <= inner.first && inner.last <= ports.last;
}
