import { compareText } from '../../core/diagnostic.ts';
import {
  type Container,
  type Entry,
  entryKey,
  FAMILIES,
  familyOf,
  type HeldEntry,
  type Placed,
} from './entry.ts';

/** What is there, held against what is wanted. */
export interface Survey {
  readonly keep: Placed<HeldEntry>[];
  /** Wanted and at a container that is over its quota. */
  readonly misplaced: Placed<HeldEntry>[];
  readonly missing: Entry[];
  /** Not wanted, or there twice. */
  readonly remove: Placed<HeldEntry>[];
}

export function surveyEntries(wanted: readonly Entry[], containers: readonly Container[]): Survey {
  const unmet = new Map(wanted.map((entry) => [entryKey(entry), entry]));
  const found: Survey = { keep: [], misplaced: [], missing: [], remove: [] };
  const theirs = new Set<string>();
  const waiting: { key: string; placed: Placed<HeldEntry> }[] = [];
  for (const { id: container, held, reserved, quota } of containers) {
    const free = new Map(FAMILIES.map((family) => [family, quota[family] - reserved[family]]));
    const take = (entry: Entry) => {
      const family = familyOf(entry);
      free.set(family, (free.get(family) ?? 0) - 1);
    };
    for (const entry of held) {
      if (entry.ours) continue;
      take(entry);
      theirs.add(entryKey(entry));
    }
    for (const { key, entry } of oursInOrder(held)) {
      const placed = { container, entry };
      if (!unmet.has(key)) found.remove.push(placed);
      else if ((free.get(familyOf(entry)) ?? 0) <= 0) waiting.push({ key, placed });
      else {
        take(entry);
        unmet.delete(key);
        found.keep.push(placed);
      }
    }
  }
  // Those beyond a quota go elsewhere, unless they are there already, be it as somebody else's.
  for (const { key, placed } of waiting) {
    if (unmet.delete(key) && !theirs.has(key)) found.misplaced.push(placed);
    else found.remove.push(placed);
  }
  for (const [key, entry] of unmet) if (!theirs.has(key)) found.missing.push(entry);
  return found;
}

/** Whatever order they are read in: those that a full container gives away are the same at the next look. */
function oursInOrder(held: readonly HeldEntry[]): { key: string; entry: HeldEntry }[] {
  return held
    .filter(({ ours }) => ours)
    .map((entry) => ({ key: entryKey(entry), entry }))
    .sort((a, b) => compareText(a.key, b.key));
}
