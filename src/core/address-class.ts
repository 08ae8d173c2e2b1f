import { Cidr, type Ip } from './ip.ts';

/** What a network is for, where it is not the public internet. */
export interface SpecialRange {
  readonly name: string;
  /** The network; undefined for the rest of IPv6 that is not global unicast (outside 2000::/3). */
  readonly range: Cidr | undefined;
  /** Opened only by an entry that names the very address, never by a network around it. */
  readonly exactOnly: boolean;
}

function special(name: string, texts: string, exactOnly = false): SpecialRange[] {
  return texts.split(' ').map((text) => {
    const range = Cidr.parse(text);
    if (range === undefined) throw new TypeError(`not a network: ${text}`);
    return { name, range, exactOnly };
  });
}

// IANA special-purpose registries (RFC 6890 and updates), and what clouds put beside them. The first match names an
// address, so single addresses stand before the networks that hold them.
const SPECIAL: readonly SpecialRange[] = [
  ...special(
    'metadata service',
    '169.254.169.254 169.254.170.2 169.254.170.23 fd00:ec2::254 fd00:ec2::23',
    true,
  ),
  ...special('cloud platform service', '168.63.129.16'),
  ...special('this host', '0.0.0.0/8 127.0.0.0/8 ::/128 ::1/128', true),
  ...special('private network', '10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7'),
  ...special('carrier-grade NAT', '100.64.0.0/10'),
  ...special('link-local', '169.254.0.0/16 fe80::/10'),
  ...special('IETF protocol assignments', '192.0.0.0/24 2001::/23'),
  ...special('documentation', '192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32'),
  ...special('6to4 relay anycast', '192.88.99.0/24'),
  ...special('benchmarking', '198.18.0.0/15'),
  ...special('multicast', '224.0.0.0/4 ff00::/8'),
  ...special('reserved', '240.0.0.0/4'),
  ...special('IPv4-compatible', '::/96'),
  ...special('local-use NAT64', '64:ff9b:1::/48'),
  ...special('discard-only', '100::/64'),
  ...special('site-local', 'fec0::/10'),
];

const GLOBAL_UNICAST = Cidr.parse('2000::/3') as Cidr;
const NOT_GLOBAL: SpecialRange = {
  name: 'not global unicast',
  range: undefined,
  exactOnly: false,
};

/**
 * The special range that an address belongs to, or undefined for a public one. An address that stands for an IPv4
 * address (NAT64, 6to4, v4-translated) is classed by the address inside.
 */
export function specialRange(ip: Ip): SpecialRange | undefined {
  const effective = ip.inner ?? ip;
  for (const entry of SPECIAL) if (entry.range?.contains(effective)) return entry;
  if (effective.family === 6 && !GLOBAL_UNICAST.contains(effective)) return NOT_GLOBAL;
  return undefined;
}

/** Whether a network lists an address, in the form that is dialled or as the IPv4 address inside. */
export function lists(cidr: Cidr, ip: Ip): boolean {
  const inner = ip.inner;
  return cidr.contains(ip) || (inner !== undefined && cidr.contains(inner));
}

/**
 * Whether a network in a rule opens an address of a special range: it must lie inside that range, so that a broad
 * network (`0.0.0.0/0`) opens nothing private by accident.
 */
export function opens(cidr: Cidr, ip: Ip, range: SpecialRange): boolean {
  if (!lists(cidr, ip)) return false;
  if (range.exactOnly) return cidr.exact;
  if (range.range === undefined) return cidr.bits >= GLOBAL_UNICAST.bits;
  // Listed by its IPv6 form: a prefix around a translator (64:ff9b::/96) would open every private IPv4 behind it.
  return cidr.inside(range.range) || (ip.inner !== undefined && cidr.exact);
}
