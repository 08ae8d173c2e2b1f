import { specialRange } from '../core/address-class.ts';
import { Hostname } from '../core/hostname.ts';
import { type Cidr, Ip } from '../core/ip.ts';
import type { NetworkMap } from '../core/network-map.ts';
import type { Entry } from './pattern-set.ts';

/** One host that stands for all that a pattern matches and no narrower pattern does. */
export interface HostPoint {
  /** What it stands for, as a person writes it. */
  readonly text: string;
  readonly host: Hostname | Ip;
}

const UNMENTIONED = 'name-that-no-rule-mentions';

/** @param networks all that the policies speak of */
export function pointsOf(entry: Entry, networks: NetworkMap<Cidr>): HostPoint[] {
  if (entry.kind === 'any') return [{ text: '*', host: Hostname.parse(`${UNMENTIONED}.invalid`) }];
  if (entry.kind === 'host') return [{ text: entry.host.name, host: entry.host }];
  if (entry.kind === 'network') {
    return [{ text: entry.cidr.toString(), host: addressIn(entry.cidr, networks) }];
  }
  const { suffix, apex } = entry;
  const below = { text: `*.${suffix.name}`, host: belowOf(suffix) };
  return apex ? [below, { text: suffix.name, host: suffix }] : [below];
}

function belowOf(suffix: Hostname): Hostname {
  // A suffix near the limit of 253 characters leaves no room for a telling label.
  const label = suffix.name.length + UNMENTIONED.length < 250 ? UNMENTIONED : 'x';
  return suffix.name.length > 251 ? suffix : Hostname.parse(`${label}.${suffix.name}`);
}

/**
 * An address of a network that lies in no narrower one, as far as its ends and a few between them do. A public one where
 * there is: a broad network opens nothing else, so another address would tell nothing of it.
 */
export function addressIn(cidr: Cidr, networks: NetworkMap<Cidr>): Ip {
  const own = candidatesIn(cidr).filter((ip) =>
    networks.find(ip).every(({ bits }) => bits <= cidr.bits),
  );
  return own.find((ip) => specialRange(ip) === undefined) ?? own[0] ?? cidr.base;
}

/** Both ends, and the base with one of its free bits set. */
function candidatesIn(cidr: Cidr): Ip[] {
  const { base, bits } = cidr;
  const bytes = base.words.flatMap((word) =>
    [24, 16, 8, 0].map((shift) => (word >>> shift) & 0xff),
  );
  const between = Array.from({ length: 8 * bytes.length - bits }, (_, i) => {
    const bit = bits + i;
    return Ip.fromBytes(
      bytes.map((byte, at) => (at === bit >> 3 ? byte | (0x80 >> (bit & 7)) : byte)),
    );
  });
  return [base, lastOf(cidr), ...between.filter((ip) => cidr.contains(ip))];
}

function lastOf({ base, bits }: Cidr): Ip {
  const bytes = base.words.flatMap((word, i) =>
    [24, 16, 8, 0].map((shift, j) => {
      const free = Math.min(8, Math.max(0, 32 * i + 8 * j + 8 - bits));
      return ((word >>> shift) & 0xff) | (2 ** free - 1);
    }),
  );
  return Ip.fromBytes(bytes);
}
