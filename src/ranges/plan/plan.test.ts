import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cidr } from '../../core/ip.ts';
import type { Container, Entry, HeldEntry } from './entry.ts';
import { isDone, type Plan, planEntries } from './plan.ts';

const SQL = { protocol: 'tcp', ports: { first: 3306, last: 3306 } } as const;

function entry(text: string): Entry {
  return { network: Cidr.parse(text) as Cidr, permission: SQL };
}

function entries(count: number, of = (i: number) => `10.0.${i}.0/24`): string[] {
  return Array.from({ length: count }, (_, i) => of(i));
}

/** Entries of ours as text, those of others with a `!` before it. */
function group(id: string, held: readonly string[], quota = 60): Container {
  return {
    id,
    held: held.map((text): HeldEntry => {
      const ours = !text.startsWith('!');
      const network = ours ? text : text.slice(1);
      return { ...entry(network), id: `${id}/${network}`, ours };
    }),
    reserved: { 4: 0, 6: 0 },
    quota: { 4: quota, 6: quota },
  };
}

function plan(wanted: readonly string[], ...containers: Container[]): Plan {
  return planEntries(wanted.map(entry), containers, { atomic: false });
}

function told(given: Plan): Record<string, string[]> {
  const at = (placed: { container: string; entry: Entry }) =>
    `${placed.container} ${placed.entry.network.text}`;
  const moves = given.move.map(({ entry, from, to }) => `${entry.network.text} ${from} ${to}`);
  return { add: given.add.map(at), move: moves, remove: given.remove.map(at) };
}

test('22 networks of a region go into one empty group', () => {
  const made = plan(entries(22), group('sg-1', []));
  assert.equal(made.add.length, 22);
  assert.deepEqual(made.room[0], { container: 'sg-1', family: 4, quota: 60, before: 0, after: 22 });
});

test('what is there stays, what is missing is added, what is not wanted is removed', () => {
  const made = plan(['10.0.0.0/24', '10.0.2.0/24'], group('sg-1', ['10.0.0.0/24', '10.0.1.0/24']));
  assert.deepEqual(told(made), {
    add: ['sg-1 10.0.2.0/24'],
    move: [],
    remove: ['sg-1 10.0.1.0/24'],
  });
  assert.equal(made.keep.length, 1);
});

test('rules of others stay, count, and are shown where they let a wanted network pass', () => {
  const held = ['!10.0.0.0/16', '!192.0.2.0/24', '10.0.1.0/24'];
  const made = plan(['10.0.0.0/24', '192.0.2.0/24'], group('sg-1', held));
  assert.deepEqual(told(made), {
    add: ['sg-1 10.0.0.0/24'],
    move: [],
    remove: ['sg-1 10.0.1.0/24'],
  });
  assert.deepEqual(
    made.covered.map(({ by, exact }) => [by.network.text, exact]),
    [
      ['10.0.0.0/16', false],
      ['192.0.2.0/24', true],
    ],
  );
});

test('400 networks fill eight groups that others have rules in, evenly and within their quotas', () => {
  const groups = Array.from({ length: 8 }, (_, i) =>
    group(
      `sg-${i}`,
      entries(i, (n) => `!172.16.${i * 10 + n}.0/24`),
    ),
  );
  const made = plan(
    entries(400, (i) => `10.${i >> 8}.${i & 255}.0/24`),
    ...groups,
  );
  assert.equal(made.add.length, 400);
  const fills = made.room.filter(({ family }) => family === 4).map(({ after }) => after);
  assert.ok(Math.max(...fills) - Math.min(...fills) <= 1, fills.join());
});

test('IPv6 counts apart from IPv4', () => {
  const six = entries(60, (i) => `2001:db8:${i.toString(16)}::/48`);
  const made = plan([...entries(60), ...six], group('sg-1', []));
  assert.deepEqual(made.shortage, []);
  assert.deepEqual(
    made.room.map(({ family, after }) => [family, after]),
    [
      [4, 60],
      [6, 60],
    ],
  );
});

test('a network stays in its group when another one has more room', () => {
  const made = plan(entries(10), group('sg-1', entries(10)), group('sg-2', []));
  assert.ok(isDone(made));
});

test('a network in another case of letters is the same: nothing changes', () => {
  assert.ok(isDone(plan(['2001:db8::/32'], group('sg-1', ['2001:DB8::/32']))));
});

test('neighbours that are not wanted all go: removing while walking would skip every second one', () => {
  const made = plan(['10.9.0.0/24'], group('sg-1', ['10.9.0.0/24', ...entries(7)]));
  assert.equal(made.remove.length, 7);
});

test('what does not fit leaves everything as it is, and says by how much', () => {
  const held = [...entries(58), '!192.0.2.0/24', '!198.51.100.0/24'];
  const wanted = entries(60, (i) => `10.1.${i}.0/24`);
  assert.deepEqual(plan(wanted, group('sg-1', held)).shortage, [
    { family: 4, needed: 60, free: 0, leaving: 58 },
  ]);
});

test('a full group takes nothing before something has left it: the new network goes into the other one', () => {
  const made = plan(
    [...entries(59), '10.9.0.0/24'],
    group('sg-1', entries(60)),
    group('sg-2', entries(60, (i) => `!172.16.${i}.0/24`).slice(1)),
  );
  assert.deepEqual(told(made), {
    add: ['sg-2 10.9.0.0/24'],
    move: [],
    remove: ['sg-1 10.0.59.0/24'],
  });
});

test('a group over its quota gives networks to another one, and loses them once they are there', () => {
  const over = group('sg-1', entries(12), 10);
  const first = plan(entries(12), over, group('sg-2', [], 10));
  assert.deepEqual(told(first), {
    add: [],
    move: ['10.0.8.0/24 sg-1 sg-2', '10.0.9.0/24 sg-1 sg-2'],
    remove: [],
  });
  const then = plan(entries(12), over, group('sg-2', ['10.0.8.0/24', '10.0.9.0/24'], 10));
  assert.deepEqual(told(then), {
    add: [],
    move: [],
    remove: ['sg-1 10.0.8.0/24', 'sg-1 10.0.9.0/24'],
  });
});

test('a network that stands twice is removed once', () => {
  const made = plan(
    ['10.0.0.0/24'],
    group('sg-1', ['10.0.0.0/24']),
    group('sg-2', ['10.0.0.0/24']),
  );
  assert.deepEqual(told(made), { add: [], move: [], remove: ['sg-2 10.0.0.0/24'] });
});

test('references take places of both families', () => {
  const made = plan(entries(2), { ...group('sg-1', [], 60), reserved: { 4: 59, 6: 59 } });
  assert.deepEqual(made.shortage, [{ family: 4, needed: 2, free: 1, leaving: 0 }]);
});

test('where everything is replaced at once, what leaves makes room', () => {
  const wanted = entries(10, (i) => `10.1.${i}.0/24`).map(entry);
  const made = planEntries(wanted, [group('set', entries(10), 10)], { atomic: true });
  assert.deepEqual([made.add.length, made.remove.length, made.shortage.length], [10, 10, 0]);
});
