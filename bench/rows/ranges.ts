import { aggregate } from '../../src/core/aggregate.ts';
import type { Cidr } from '../../src/core/ip.ts';
import { filterList } from '../../src/ranges/filter.ts';
import { readList } from '../../src/ranges/lists/lists.ts';
import type { Container } from '../../src/ranges/plan/entry.ts';
import { type Plan, planEntries } from '../../src/ranges/plan/plan.ts';
import { ipRangesJson } from '../../test/support/ip-ranges.ts';
import type { Contestant, Row } from './row.ts';

const PREFIXES = 10_000;
const LISTS = 10;
const EVERYTHING = { filters: { service: [], region: [], borderGroup: [] }, family: undefined };

function containers(held: readonly Cidr[]): Container[] {
  return Array.from({ length: LISTS }, (_, i) => ({
    id: `pl-${i}`,
    held: held
      .filter((_one, n) => n % LISTS === i)
      .map((network) => ({ network, permission: undefined, id: network.text, ours: true })),
    reserved: { 4: 0, 6: 0 },
    quota: { 4: PREFIXES, 6: PREFIXES },
  }));
}

/** From the text of a list to a plan: reading, filtering, joining, and comparing with what is there. */
function planFor(text: string, there: readonly Container[]): Plan {
  const networks = aggregate(filterList(readList('aws', text), EVERYTHING));
  const wanted = networks.map((network) => ({ network, permission: undefined }));
  return planEntries(wanted, there, { atomic: false });
}

function contestant(name: string, before: string | undefined): Contestant {
  return {
    name,
    async enter() {
      const text = ipRangesJson({ prefixes: PREFIXES });
      const held =
        before === undefined ? [] : aggregate(filterList(readList('aws', before), EVERYTHING));
      const there = containers(held);
      planFor(text, there);
      return {
        async round() {
          const began = performance.now();
          const { add, remove, keep } = planFor(text, there);
          const taken = performance.now() - began;
          return { taken, changed: add.length + remove.length, kept: keep.length };
        },
        leave: async () => {},
      };
    },
  };
}

export const ranges: Row = {
  name: 'ranges',
  title: `An ip-ranges.json of ${PREFIXES} prefixes, from its text to a plan for ${LISTS} prefix lists`,
  columns: [
    { key: 'taken', title: 'ms', digits: 0 },
    { key: 'changed', title: 'to change', digits: 0 },
    { key: 'kept', title: 'that stay', digits: 0 },
  ],
  targets: ['nothing there', 'another list there', 'the same there'].map((name) => ({
    title: `a plan with ${name}, ms`,
    atMost: 1000,
    values: (series) => series(name, 'taken'),
  })),
  contestants: () => [
    contestant('nothing there', undefined),
    contestant('another list there', ipRangesJson({ prefixes: PREFIXES, seed: 2 })),
    contestant('the same there', ipRangesJson({ prefixes: PREFIXES })),
  ],
};
