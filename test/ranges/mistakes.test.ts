import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAnnouncement } from '../../src/ranges/sns/announcement.ts';
import { guardedAccount, peers } from '../support/aws/guarded-account.ts';
import { faultsOf } from '../support/config.ts';
import { applyRanges, MARK, manyNetworks, planRanges } from '../support/ranges.ts';

// The mistakes of the scripts that copy published ranges into security groups, each by its name.

const OLD = manyNetworks(4);

test('removing from a list while walking it skips neighbours: all of them go', async (t) => {
  const { groups, target } = await guardedAccount(t);
  for (const peer of manyNetworks(9)) groups.addRule('sg-1', peer, { description: MARK });
  await applyRanges(target(), ['192.0.2.0/24']);
  assert.deepEqual(peers(groups), ['192.0.2.0/24']);
});

test('only the first permission or group is read: every one is', async (t) => {
  const { groups, target } = await guardedAccount(t, ['sg-1', 'sg-2', 'sg-3']);
  groups.addRule('sg-1', '10.0.0.0/24', { description: MARK });
  groups.addRule('sg-3', '10.0.2.0/24', { description: MARK });
  groups.addRule('sg-3', '10.0.4.0/24', { description: MARK, from: 5432, to: 5432 });
  await applyRanges(target(), ['10.0.0.0/24', '10.0.2.0/24']);
  assert.deepEqual(peers(groups), ['10.0.0.0/24', '10.0.2.0/24']);
});

test('revoking before authorising: everything is authorised and read back first', async (t) => {
  const { aws, groups, target } = await guardedAccount(t);
  for (const peer of OLD) groups.addRule('sg-1', peer, { description: MARK });
  await applyRanges(target(), ['10.0.0.0/22', '10.0.4.0/22']);
  const order = aws.calls
    .map(({ operation }) => operation)
    .filter((operation) => /Authorize|Revoke|Rules$/.test(operation));
  assert.deepEqual(order, [
    'DescribeSecurityGroupRules',
    'AuthorizeSecurityGroupIngress',
    'DescribeSecurityGroupRules',
    'RevokeSecurityGroupIngress',
    'DescribeSecurityGroupRules',
  ]);
});

test('deleting networks that belong to others: another description, port, target or direction stays', async (t) => {
  const { groups, target } = await guardedAccount(t);
  groups.addRule('sg-1', '192.0.2.1/32', { description: 'office' });
  groups.addRule('sg-1', '192.0.2.2/32', { description: 'sekisho:other' });
  groups.addRule('sg-1', '192.0.2.3/32', { from: 22, to: 22 });
  groups.addRule('sg-1', '0.0.0.0/0', { egress: true, protocol: '-1', from: -1, to: -1 });
  const before = [...groups.rules];
  await applyRanges(target(), ['10.0.0.0/24']);
  assert.deepEqual(
    groups.rules.filter(({ description }) => description !== MARK),
    before,
  );
});

test('adding nothing when any permission exists: networks are added beside it', async (t) => {
  const { groups, target } = await guardedAccount(t);
  groups.addRule('sg-1', '192.0.2.1/32');
  await applyRanges(target(), OLD);
  assert.equal(groups.rules.length, 5);
});

test('FromPort is missing on protocol -1: it is read as all ports', async (t) => {
  const { groups, target } = await guardedAccount(t);
  groups.addRule('sg-1', '10.0.0.0/8', { protocol: '-1', from: -1, to: -1 });
  const { plan } = await planRanges(target(), ['10.0.0.0/24']);
  assert.deepEqual(
    plan.covered.map(({ by }) => by.network.text),
    ['10.0.0.0/8'],
  );
  await applyRanges(target('protocol: all'), ['192.0.2.0/24']);
  assert.deepEqual(groups.rules.at(-1)?.protocol, '-1');
});

test('later batches send the first hundred again: each has its own networks', async (t) => {
  const { groups, target } = await guardedAccount(t);
  groups.quota = 300;
  await applyRanges(target('protocol: tcp, port: 3306, quota: 300'), manyNetworks(250));
  assert.deepEqual(peers(groups), manyNetworks(250).sort());
});

test('comparing text misses 2001:DB8::: an IPv6 network in another case is the one that is there', async (t) => {
  const { aws, groups, target } = await guardedAccount(t);
  groups.addRule('sg-1', '2001:db8::/48', { description: MARK });
  await applyRanges(target(), ['2001:DB8:0::/48']);
  assert.equal(aws.count('AuthorizeSecurityGroupIngress'), 0);
});

test('no pagination: every page of the rules is read', async (t) => {
  const { aws, groups, target } = await guardedAccount(t);
  groups.pageSize = 5;
  for (const peer of manyNetworks(40)) groups.addRule('sg-1', peer, { description: MARK });
  await applyRanges(target(), manyNetworks(40));
  assert.equal(aws.count('DescribeSecurityGroupRules'), 8);
  assert.equal(aws.count('AuthorizeSecurityGroupIngress'), 0);
});

test('IPv6 is ignored: its networks are rules beside IPv4, with a quota of their own', async (t) => {
  const { groups, target } = await guardedAccount(t);
  const six = Array.from({ length: 60 }, (_, i) => `2001:db8:${(2 * i).toString(16)}::/48`);
  await applyRanges(target(), [...manyNetworks(60), ...six]);
  assert.equal(groups.rules.length, 120);
});

test('failing past 50 or 60 rules: 400 networks fill eight groups in which others have rules', async (t) => {
  const ids = Array.from({ length: 8 }, (_, i) => `sg-${i + 1}`);
  const { groups, target } = await guardedAccount(t, ids);
  for (const [i, id] of ids.entries()) {
    for (let n = 0; n <= i; n++) groups.addRule(id, `172.16.${i}.${n}/32`, { from: 22, to: 22 });
  }
  await applyRanges(target(), manyNetworks(400));
  assert.equal(groups.rules.filter(({ description }) => description === MARK).length, 400);
  const { plan } = await planRanges(target(), manyNetworks(400));
  assert.equal(plan.keep.length, 400);
});

test('failing past 50 or 60 rules halfway: beyond the quota nothing is changed, and the message has the counts', async (t) => {
  const { aws, groups, target } = await guardedAccount(t);
  for (const peer of OLD) groups.addRule('sg-1', peer, { description: MARK });
  const wanted = manyNetworks(60, 100);
  await assert.rejects(applyRanges(target(), wanted), {
    code: 'ranges-no-room',
    message:
      /nothing was changed: IPv4: 60 to add and room for 56, while the 4 that are to go stay/,
  });
  assert.equal(aws.count('AuthorizeSecurityGroupIngress'), 0);
  const { notes } = await planRanges(target(), wanted);
  assert.match(
    notes.at(-1)?.text ?? '',
    /create the security group rds-2 in vpc-1, attach it beside sg-1/,
  );
});

test('an http: URL is accepted: it is a fault in a configuration, and refused in a message', () => {
  const http = 'http://ip-ranges.amazonaws.com/ip-ranges.json';
  const yaml = `version: 1\nsets: { s: { ranges: { provider: aws, url: "${http}" } } }`;
  assert.match(faultsOf({ 'sekisho.yaml': yaml }).join(), /; write https:\/\//);
  const message = { synctoken: '1', md5: '0'.repeat(32), url: http };
  assert.throws(() => parseAnnouncement(JSON.stringify(message)), {
    code: 'ranges-refused',
    message: /not at https:/,
  });
});

test('a magic md5 is accepted: what is none is refused', () => {
  const url = 'https://ip-ranges.amazonaws.com/ip-ranges.json';
  for (const md5 of ['test-hash', '', '*', '0'.repeat(31), undefined]) {
    assert.throws(() => parseAnnouncement(JSON.stringify({ synctoken: '1', md5, url })), {
      code: 'ranges-refused',
    });
  }
});
