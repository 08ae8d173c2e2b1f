import type { PublishedSetConfig } from '../config/ranges-config.ts';
import type { Cidr } from '../core/ip.ts';
import type { PublishedList } from './published.ts';

const FILTERS = ['service', 'region', 'borderGroup'] as const;

/** The networks that a set asks for, each once, though a list may name it under several services. */
export function filterList(
  { prefixes }: PublishedList,
  { filters, family }: Pick<PublishedSetConfig, 'filters' | 'family'>,
): Cidr[] {
  const found = new Map<string, Cidr>();
  for (const { network, labels } of prefixes) {
    if (family !== undefined && network.base.family !== family) continue;
    const passes = FILTERS.every((filter) => {
      const wanted = filters[filter];
      return wanted.length === 0 || (labels[filter] ?? []).some((label) => wanted.includes(label));
    });
    if (passes) found.set(network.text, network);
  }
  return [...found.values()];
}

/** What nothing in the list goes by: a word that a filter has, and those that it could have. */
export function unknownWord({ prefixes }: PublishedList, { filters }: PublishedSetConfig) {
  for (const filter of FILTERS) {
    const known = new Set(prefixes.flatMap(({ labels }) => labels[filter] ?? []));
    const word = filters[filter].find((wanted) => !known.has(wanted));
    if (word !== undefined) return { filter, word, known: [...known].sort() };
  }
  return undefined;
}
