import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { aggregate } from '../../core/aggregate.ts';
import { Cidr, Ip } from '../../core/ip.ts';
import {
  type Container,
  type Entry,
  entryKey,
  FAMILIES,
  familyOf,
  type HeldEntry,
} from './entry.ts';
import { isDone, planEntries } from './plan.ts';
import { nextStep } from './steps.ts';

/** Networks among 32 addresses of each family, so that all of them can be looked at. */
const ADDRESSES = Array.from({ length: 32 }, (_, i) => [
  Ip.parse(`192.0.2.${i}`) as Ip,
  Ip.parse(`2001:db8::${i.toString(16)}`) as Ip,
]).flat();

const network = fc
  .record({ at: fc.nat(ADDRESSES.length - 1), host: fc.nat(3) })
  .map(({ at, host }) => {
    const ip = ADDRESSES[at] as Ip;
    return Cidr.around(ip, (ip.family === 4 ? 32 : 128) - host);
  });

const entry = network.map((one): Entry => ({ network: one, permission: undefined }));

function container(id: string) {
  return fc
    .record({
      held: fc.uniqueArray(fc.record({ entry, ours: fc.boolean() }), {
        maxLength: 14,
        selector: (one) => entryKey(one.entry),
      }),
      quota: fc.integer({ min: 4, max: 20 }),
      reserved: fc.nat(2),
    })
    .map(
      ({ held, quota, reserved }): Container => ({
        id,
        held: held.map(({ entry, ours }) => ({ ...entry, ours, id: `${id} ${entryKey(entry)}` })),
        quota: { 4: quota, 6: quota },
        reserved: { 4: reserved, 6: reserved },
      }),
    );
}

const situation = fc.record({
  wanted: fc
    .array(network, { maxLength: 24 })
    .map((list) => aggregate(list).map((one): Entry => ({ network: one, permission: undefined }))),
  containers: fc.integer({ min: 1, max: 4 }).chain((count) => {
    return fc.tuple(...Array.from({ length: count }, (_, i) => container(`c${i}`)));
  }),
});

type State = Map<string, HeldEntry[]>;

function stateOf(containers: readonly Container[]): State {
  return new Map(containers.map(({ id, held }) => [id, [...held]]));
}

function passing(state: State): Set<string> {
  const networks = [...state.values()].flat().map((one) => one.network);
  return new Set(
    ADDRESSES.filter((ip) => networks.some((one) => one.contains(ip))).map(({ text }) => text),
  );
}

function wantedAddresses(wanted: readonly Entry[]): string[] {
  return ADDRESSES.filter((ip) => wanted.some((one) => one.network.contains(ip))).map(String);
}

/** Carries plans out, one entry at a time. @returns the state at its end, or undefined where nothing fits */
function carryOut(
  wanted: readonly Entry[],
  containers: readonly Container[],
  looked: (state: State) => void,
): State | undefined {
  const state = stateOf(containers);
  for (let round = 0; round < 4; round++) {
    const now = containers.map((one) => ({ ...one, held: state.get(one.id) ?? [] }));
    const plan = planEntries(wanted, now, { atomic: false });
    if (plan.shortage.length > 0) return undefined;
    if (isDone(plan)) return state;
    const { add, remove } = nextStep(plan, false);
    assert.ok(add.length === 0 || remove.length === 0);
    for (const { container: id, entry: one } of add) {
      const held = state.get(id) as HeldEntry[];
      assert.ok(!held.some((other) => entryKey(other) === entryKey(one)), 'there already');
      held.push({ ...one, ours: true, id: `${id} ${entryKey(one)}` });
      looked(state);
    }
    for (const { container: id, entry: one } of remove) {
      assert.ok(one.ours);
      const held = state.get(id) as HeldEntry[];
      state.set(
        id,
        held.filter((other) => other.id !== one.id),
      );
      looked(state);
    }
  }
  throw new assert.AssertionError({ message: 'it comes to no end' });
}

test('at every step of an apply every address that is wanted and passed goes on passing', () => {
  fc.assert(
    fc.property(situation, ({ wanted, containers }) => {
      const before = passing(stateOf(containers));
      const staying = wantedAddresses(wanted).filter((address) => before.has(address));
      carryOut(wanted, containers, (state) => {
        const now = passing(state);
        for (const address of staying) assert.ok(now.has(address), address);
      });
    }),
    { numRuns: 2000 },
  );
});

test('an apply ends with what is wanted and what belongs to others, and a second one changes nothing', () => {
  fc.assert(
    fc.property(situation, ({ wanted, containers }) => {
      const end = carryOut(wanted, containers, () => undefined);
      if (end === undefined) return;
      const theirs = (state: State) =>
        [...state.values()]
          .flat()
          .filter(({ ours }) => !ours)
          .map(({ id }) => id);
      assert.deepEqual(theirs(end), theirs(stateOf(containers)));
      const keys = new Set(wanted.map(entryKey));
      const ours = [...end.values()]
        .flat()
        .filter((one) => one.ours)
        .map(entryKey);
      assert.equal(new Set(ours).size, ours.length);
      assert.deepEqual(
        ours.filter((key) => !keys.has(key)),
        [],
      );
      const passes = passing(end);
      for (const address of wantedAddresses(wanted)) assert.ok(passes.has(address), address);
    }),
    { numRuns: 1000 },
  );
});

test('no step takes a container over its quota, beyond what it had', () => {
  const count = (held: readonly HeldEntry[], family: 4 | 6) =>
    held.filter((one) => familyOf(one) === family).length;
  fc.assert(
    fc.property(situation, ({ wanted, containers }) => {
      carryOut(wanted, containers, (state) => {
        for (const { id, held, quota, reserved } of containers) {
          for (const family of FAMILIES) {
            const limit = Math.max(quota[family] - reserved[family], count(held, family));
            assert.ok(count(state.get(id) ?? [], family) <= limit);
          }
        }
      });
    }),
    { numRuns: 1000 },
  );
});

test('what does not fit is not begun', () => {
  fc.assert(
    fc.property(situation, ({ wanted, containers }) => {
      let looks = 0;
      const end = carryOut(wanted, containers, () => looks++);
      if (end === undefined) assert.equal(looks, 0);
    }),
    { numRuns: 1000 },
  );
});

test('an entry leaves its container only where that is over its quota, or it is there twice', () => {
  fc.assert(
    fc.property(situation, ({ wanted, containers }) => {
      const plan = planEntries(wanted, containers, { atomic: false });
      const keys = new Set(wanted.map(entryKey));
      for (const { id, held, quota, reserved } of containers) {
        for (const family of FAMILIES) {
          const stays = held.filter(
            (one) => familyOf(one) === family && (!one.ours || keys.has(entryKey(one))),
          );
          if (stays.length > quota[family] - reserved[family]) continue;
          const moved = plan.move.filter(
            ({ from, entry: one }) => from === id && familyOf(one) === family,
          );
          assert.deepEqual(moved, []);
        }
      }
    }),
    { numRuns: 1000 },
  );
});
