import { compareText } from '../../core/diagnostic.ts';
import {
  type Container,
  type Entry,
  entryKey,
  FAMILIES,
  type Family,
  familyOf,
  type HeldEntry,
} from './entry.ts';
import { type Covered, foreignCover } from './foreign.ts';

/** An entry at its container. */
export interface Placed<E extends Entry = Entry> {
  readonly container: string;
  readonly entry: E;
}

export interface Move {
  readonly entry: HeldEntry;
  readonly from: string;
  readonly to: string;
}

/** What has to be done to a target, and what is left then. */
export interface Plan {
  readonly keep: readonly Placed<HeldEntry>[];
  readonly add: readonly Placed[];
  /** Added at one container, and only then taken from the other. */
  readonly move: readonly Move[];
  readonly remove: readonly Placed<HeldEntry>[];
  /** What entries of others let pass already. */
  readonly covered: readonly Covered[];
  readonly room: readonly Room[];
  /** Where it is not empty, nothing of this may be done. */
  readonly shortage: readonly Shortage[];
}

export interface Room {
  readonly container: string;
  readonly family: Family;
  readonly quota: number;
  readonly before: number;
  readonly after: number;
}

export interface Shortage {
  readonly family: Family;
  /** Entries that are wanted and not there, or have to leave a container that is over its quota. */
  readonly needed: number;
  /** Places for them while everything that is there stays. */
  readonly free: number;
  /** Entries that leave afterwards. */
  readonly leaving: number;
}

export interface PlanOptions {
  /** Containers whose content is replaced in one stroke: what leaves makes room for what comes. */
  readonly atomic: boolean;
}

/**
 * What brings containers to hold exactly the wanted entries, and those of others.
 *
 * An entry stays where it is. A new one goes where most room is. Nothing is placed beyond a quota, counted with everything
 * that is there before anything leaves; a container that is over its quota gives entries to others.
 */
export function planEntries(
  wanted: readonly Entry[],
  containers: readonly Container[],
  { atomic }: PlanOptions,
): Plan {
  const survey = surveyEntries(wanted, containers);
  const places = new Places(containers, survey, atomic);
  const add: Placed[] = [];
  const move: Move[] = [];
  const short: Entry[] = [];
  for (const { entry, container } of survey.misplaced) {
    const to = places.take(familyOf(entry), container);
    if (to === undefined) short.push(entry);
    else move.push({ entry, from: container, to });
  }
  for (const entry of survey.missing) {
    const to = places.take(familyOf(entry));
    if (to === undefined) short.push(entry);
    else add.push({ container: to, entry });
  }
  const { keep, remove } = survey;
  const covered = foreignCover(wanted, containers);
  const shortage = shortages(
    short,
    [...survey.missing, ...survey.misplaced.map(({ entry }) => entry)],
    remove,
  );
  return { keep, add, move, remove, covered, room: places.room(), shortage };
}

export function isDone({ add, move, remove, shortage }: Plan): boolean {
  return add.length + move.length + remove.length + shortage.length === 0;
}

interface Survey {
  readonly keep: Placed<HeldEntry>[];
  /** Wanted and at a container that is over its quota. */
  readonly misplaced: Placed<HeldEntry>[];
  readonly missing: Entry[];
  /** Not wanted, or there twice. */
  readonly remove: Placed<HeldEntry>[];
}

function surveyEntries(wanted: readonly Entry[], containers: readonly Container[]): Survey {
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

/** The room of all containers, as it is taken. */
class Places {
  readonly #containers: readonly Container[];
  /** Entries of each family: now, when everything is done, and the most on the way there. */
  readonly #counts = new Map<
    string,
    Record<Family, { before: number; after: number; peak: number }>
  >();

  constructor(containers: readonly Container[], { remove, misplaced }: Survey, atomic: boolean) {
    this.#containers = containers;
    const leaving = [...remove, ...misplaced];
    for (const { id, held, reserved } of containers) {
      const count = (family: Family) => {
        const before = reserved[family] + held.filter((one) => familyOf(one) === family).length;
        const gone = leaving.filter(
          (one) => one.container === id && familyOf(one.entry) === family,
        );
        const after = before - gone.length;
        return { before, after, peak: atomic ? after : before };
      };
      this.#counts.set(id, { 4: count(4), 6: count(6) });
    }
  }

  /** The container with room that is least full in the end, or the first of several. */
  take(family: Family, except?: string): string | undefined {
    let best: { id: string; fill: number } | undefined;
    for (const { id, quota } of this.#containers) {
      const count = this.#counts.get(id)?.[family];
      if (count === undefined || id === except || count.peak >= quota[family]) continue;
      const fill = count.after / quota[family];
      if (best === undefined || fill < best.fill) best = { id, fill };
    }
    const count = best && this.#counts.get(best.id)?.[family];
    if (count !== undefined) {
      count.after++;
      count.peak++;
    }
    return best?.id;
  }

  room(): Room[] {
    return this.#containers.flatMap(({ id: container, quota }) =>
      FAMILIES.filter((family) => quota[family] > 0).map((family) => {
        const count = this.#counts.get(container)?.[family];
        const { before = 0, after = 0 } = count ?? {};
        return { container, family, quota: quota[family], before, after };
      }),
    );
  }
}

function shortages(
  short: readonly Entry[],
  needed: readonly Entry[],
  leaving: readonly Placed[],
): Shortage[] {
  const count = (entries: readonly Entry[], family: Family) =>
    entries.filter((entry) => familyOf(entry) === family).length;
  return FAMILIES.filter((family) => count(short, family) > 0).map((family) => ({
    family,
    needed: count(needed, family),
    free: count(needed, family) - count(short, family),
    leaving: count(
      leaving.map(({ entry }) => entry),
      family,
    ),
  }));
}
