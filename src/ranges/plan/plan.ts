import {
  type Container,
  type Entry,
  FAMILIES,
  type Family,
  familyOf,
  type HeldEntry,
  type Placed,
} from './entry.ts';
import { type Covered, foreignCover } from './foreign.ts';
import { Places, type Room } from './places.ts';
import { surveyEntries } from './survey.ts';

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
