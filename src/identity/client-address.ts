import type { Ip } from '../core/ip.ts';
import { NetworkMap } from '../core/network-map.ts';
import { liesIn, type Networks } from '../core/networks.ts';
import type { CompileReader, Entry, Presented } from './entry.ts';

const NOTHING: readonly Presented[] = [];

/**
 * The client's address alone. An address is nothing that a client claims, so one that belongs to nobody is no wrong
 * evidence: the client is anonymous.
 */
export const compileClientAddresses: CompileReader = (entries) => {
  const networks = new NetworkMap<Entry>();
  const published = new Map<Networks, Entry[]>();
  for (const entry of entries) {
    if (entry.keys > 1 || entry.from === undefined) continue;
    for (const cidr of entry.from.own) networks.add(cidr, entry);
    for (const set of entry.from.published)
      published.set(set, [...(published.get(set) ?? []), entry]);
  }
  return {
    read({ client }) {
      const found = networks.find(client);
      for (const [set, those] of published) if (set.has(client)) found.push(...those);
      if (found.length === 0) return NOTHING;
      return [{ what: 'the client address', entries: [...new Set(found)] }];
    },
  };
};

/** Whether an entry may be used from an address; `unsure`: only by a list that is too old. */
export function isUsableFrom({ from }: Entry, client: Ip): boolean | 'unsure' {
  return from === undefined || liesIn(from, client);
}
