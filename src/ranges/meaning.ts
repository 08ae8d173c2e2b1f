import type { PublishedSetConfig, RangesProvider } from '../config/ranges-config.ts';
import { countAddresses } from '../core/aggregate.ts';
import { isRented } from '../core/rented-addresses.ts';
import { filterText } from './follow.ts';
import type { RangeSet } from './range-sets.ts';

const NAMES: Readonly<Record<RangesProvider, string>> = {
  aws: 'AWS',
  azure: 'Azure',
  cloudflare: 'Cloudflare',
  fastly: 'Fastly',
  github: 'GitHub',
  google: 'Google',
  plain: 'a list',
};

/** What a set means: how many addresses, whose, and who may send from them. */
export interface Meaning {
  /** `22 networks (25 published), 1,835,008 IPv4 addresses` */
  readonly size: string;
  /** `AWS: EC2, ap-northeast-1` */
  readonly whose: string;
  /** Every customer of the provider has such an address for the asking. */
  readonly rented: boolean;
}

export function meaningOf({ networks, published, source }: RangeSet): Meaning {
  const four = countAddresses(networks, 4);
  const six = countAddresses(networks, 6);
  const parts = [
    `${networks.length} network${networks.length === 1 ? '' : 's'} (${published.length} published)`,
    ...(four > 0n ? [`${four.toLocaleString('en')} IPv4 addresses`] : []),
    ...(six > 0n ? [`${(six >> 64n).toLocaleString('en')} IPv6 networks of 64 bits`] : []),
  ];
  return {
    size: parts.join(', '),
    whose: source === undefined ? 'listed in the configuration' : whoseText(source),
    rented: source !== undefined && isRented(source.provider, source.filters.service),
  };
}

function whoseText(source: PublishedSetConfig): string {
  const filters = filterText(source);
  return filters === '' ? NAMES[source.provider] : `${NAMES[source.provider]}: ${filters}`;
}
