import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AwsError } from '../../../test/support/aws/aws-error.ts';
import { Ec2 } from '../../../test/support/aws/ec2.ts';
import { startFakeAws } from '../../../test/support/aws/fake-aws.ts';
import {
  applyRanges,
  MARK,
  manyNetworks,
  planRanges,
  targetOf,
} from '../../../test/support/ranges.ts';

async function account(t: TestContext) {
  const ec2 = new Ec2();
  const aws = await startFakeAws([ec2.service]);
  t.after(aws.close);
  Object.assign(process.env, aws.env());
  const target = (lists: string, more = '') =>
    targetOf(`prefixLists: { lists: [${lists}], region: ap-northeast-1, ${more} }`);
  return { aws, lists: ec2.prefixLists, target };
}

function entriesOf({ entries }: { entries: readonly { readonly cidr: string }[] }): string[] {
  return entries.map(({ cidr }) => cidr).sort();
}

test('a list gets its entries in requests of a hundred, each once the one before is complete', async (t) => {
  const { aws, lists, target } = await account(t);
  const list = lists.add('pl-1', 'IPv4', 300);
  lists.slowness = 2;
  await applyRanges(target('pl-1'), manyNetworks(250));
  assert.deepEqual(entriesOf(list), manyNetworks(250).sort());
  assert.equal(aws.count('ModifyManagedPrefixList'), 3);
  await applyRanges(target('pl-1'), manyNetworks(250));
  assert.equal(aws.count('ModifyManagedPrefixList'), 3);
});

test('a list grows before it takes more, and shrinks after it has less', async (t) => {
  const { lists, target } = await account(t);
  const list = lists.add('pl-1', 'IPv4', 10);
  await applyRanges(target('pl-1', 'maxEntries: 50'), manyNetworks(40));
  assert.deepEqual([list.maxEntries, list.entries.length], [40, 40]);
  const { unsettled } = await planRanges(target('pl-1', 'maxEntries: 20'), manyNetworks(20));
  assert.deepEqual(unsettled, []);
  await applyRanges(target('pl-1', 'maxEntries: 20'), manyNetworks(20));
  assert.deepEqual([list.maxEntries, list.entries.length], [20, 20]);
});

test('a list that may not grow has the room that it has', async (t) => {
  const { aws, lists, target } = await account(t);
  lists.add('pl-1', 'IPv4', 10);
  await assert.rejects(applyRanges(target('pl-1'), manyNetworks(11)), {
    code: 'ranges-no-room',
    message: /IPv4: 11 to add and room for 10/,
  });
  assert.equal(aws.count('ModifyManagedPrefixList'), 0);
});

test('a resource without room for a larger list fails the change, in the words of AWS', async (t) => {
  const { lists, target } = await account(t);
  const list = lists.add('pl-1', 'IPv4', 10);
  list.references.push('sg-1', 'sg-2');
  lists.roomOfReferences = 20;
  const config = target('pl-1', 'maxEntries: 100');
  const { notes } = await planRanges(config, manyNetworks(30));
  assert.deepEqual(notes, [
    { level: 'warning', text: 'pl-1: MaxEntries 10 → 30, as many rules in each of: sg-1, sg-2' },
  ]);
  await assert.rejects(applyRanges(config, manyNetworks(30)), {
    code: 'ranges-no-room',
    message: /pl-1 could not be changed: .*has reached its quota/,
  });
  assert.equal(list.entries.length, 0);
});

test('5,000 networks are spread over six lists, and stay where they are', async (t) => {
  const { aws, lists, target } = await account(t);
  lists.pageSize = 100;
  lists.slowness = 0;
  const ids = Array.from({ length: 6 }, (_, i) => `pl-${i + 1}`);
  for (const id of ids) lists.add(id, 'IPv4', 1000);
  const networks = Array.from({ length: 5000 }, (_, i) => `10.${i >> 7}.${2 * (i & 127)}.0/24`);
  await applyRanges(target(ids.join(', ')), networks);
  const sizes = ids.map((id) => lists.lists.get(id)?.entries.length ?? 0);
  assert.equal(
    sizes.reduce((a, b) => a + b),
    5000,
  );
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join());
  const changes = aws.count('ModifyManagedPrefixList');
  await applyRanges(target(ids.join(', ')), networks);
  assert.equal(aws.count('ModifyManagedPrefixList'), changes);
});

test('each family goes into lists of its own', async (t) => {
  const { lists, target } = await account(t);
  const four = lists.add('pl-4', 'IPv4', 10);
  const six = lists.add('pl-6', 'IPv6', 10);
  await applyRanges(target('pl-4, pl-6'), ['10.0.0.0/24', '2001:db8::/32']);
  assert.deepEqual([entriesOf(four), entriesOf(six)], [['10.0.0.0/24'], ['2001:db8::/32']]);
});

test('entries of others stay', async (t) => {
  const { lists, target } = await account(t);
  const list = lists.add('pl-1', 'IPv4', 10);
  list.entries.push(
    { cidr: '192.0.2.0/24', description: 'office' },
    { cidr: '10.9.0.0/16', description: MARK },
  );
  await applyRanges(target('pl-1'), ['10.0.0.0/24']);
  assert.deepEqual(entriesOf(list), ['10.0.0.0/24', '192.0.2.0/24']);
});

test('a version that somebody else made in between is read again', async (t) => {
  const { aws, lists, target } = await account(t);
  const list = lists.add('pl-1', 'IPv4', 10);
  await applyRanges(target('pl-1'), ['10.0.0.0/24'], () => {
    list.version++;
    list.entries.push({ cidr: '192.0.2.0/24', description: undefined });
  });
  assert.deepEqual(entriesOf(list), ['10.0.0.0/24', '192.0.2.0/24']);
  assert.equal(aws.count('ModifyManagedPrefixList'), 2);
});

test('a change that is under way is waited for before a plan is made', async (t) => {
  const { lists, target } = await account(t);
  const list = lists.add('pl-1', 'IPv4', 10);
  list.state = 'modify-in-progress';
  list.coming = {
    looks: 3,
    finish: () => {
      list.state = 'modify-complete';
      list.version++;
      list.entries.push({ cidr: '10.0.0.0/24', description: MARK });
    },
  };
  const { plan } = await planRanges(target('pl-1'), ['10.0.0.0/24']);
  assert.equal(plan.keep.length, 1);
});

test('a list that does not exist is told', async (t) => {
  const { aws, target } = await account(t);
  await assert.rejects(planRanges(target('pl-9'), []), {
    message: /InvalidPrefixListID\.NotFound/,
  });
  aws.disturbances.fail(
    'DescribeManagedPrefixLists',
    new AwsError('UnauthorizedOperation', 'no', 403),
  );
  await assert.rejects(planRanges(target('pl-9'), []), { message: /sekisho ranges policy/ });
});
