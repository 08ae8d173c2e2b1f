import { type Container, FAMILIES, type Family, familyOf } from './entry.ts';
import type { Survey } from './survey.ts';

export interface Room {
  readonly container: string;
  readonly family: Family;
  readonly quota: number;
  readonly before: number;
  readonly after: number;
}

/** The room of all containers, as it is taken. */
export class Places {
  readonly #containers: readonly Container[];
  /** Entries of each family: now, when everything is done, and the most on the way there. */
  readonly #counts = new Map<
    string,
    Record<Family, { before: number; after: number; peak: number }>
  >();

  constructor(
    containers: readonly Container[],
    { remove, misplaced }: Pick<Survey, 'remove' | 'misplaced'>,
    atomic: boolean,
  ) {
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
