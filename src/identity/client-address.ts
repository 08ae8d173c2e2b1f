import type { Ip } from '../core/ip.ts';
import { NetworkMap } from '../core/network-map.ts';
import type { CompileReader, Entry, Presented } from './entry.ts';

const NOTHING: readonly Presented[] = [];

/**
 * The client's address alone. An address is nothing that a client claims, so one that belongs to nobody is no wrong
 * evidence: the client is anonymous.
 */
export const compileClientAddresses: CompileReader = (entries) => {
  const networks = new NetworkMap<Entry>();
  for (const entry of entries) {
    if (entry.keys > 1) continue;
    for (const cidr of entry.config.clientAddress ?? []) networks.add(cidr, entry);
  }
  return {
    read(evidence) {
      const found = networks.find(evidence.client);
      if (found.length === 0) return NOTHING;
      return [{ what: 'the client address', entries: [...new Set(found)] }];
    },
  };
};

/** Whether an entry may be used from an address. */
export function isUsableFrom({ config }: Entry, client: Ip): boolean {
  return config.clientAddress?.some((cidr) => cidr.contains(client)) ?? true;
}
