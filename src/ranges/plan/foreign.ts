import { NetworkMap } from '../../core/network-map.ts';
import { type Container, covers, type Entry, entryKey, type HeldEntry } from './entry.ts';

/** A wanted entry that an entry of somebody else lets pass as well. */
export interface Covered {
  readonly entry: Entry;
  readonly by: HeldEntry;
  readonly container: string;
  /** It says the very same, so that ours cannot stand beside it. */
  readonly exact: boolean;
}

/** What of the wanted passes by entries of others, each by the first of them. */
export function foreignCover(
  wanted: readonly Entry[],
  containers: readonly Container[],
): Covered[] {
  const foreign = new NetworkMap<{ by: HeldEntry; container: string }>();
  for (const { id: container, held } of containers) {
    for (const by of held) if (!by.ours) foreign.add(by.network, { by, container });
  }
  return wanted.flatMap((entry) => {
    const found = foreign
      .find(entry.network.base)
      .filter(({ by }) => covers(by, entry))
      .map((one) => ({ entry, ...one, exact: entryKey(one.by) === entryKey(entry) }));
    return found.find(({ exact }) => exact) ?? found.slice(0, 1);
  });
}
