import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AwsError } from '../../../test/support/aws/aws-error.ts';
import { Ec2, requestLimitExceeded } from '../../../test/support/aws/ec2.ts';
import { Ec2Places } from '../../../test/support/aws/ec2-places.ts';
import { ADMIN, startFakeAws } from '../../../test/support/aws/fake-aws.ts';
import { guardedAccount, peers } from '../../../test/support/aws/guarded-account.ts';
import { ServiceQuotas } from '../../../test/support/aws/service-quotas.ts';
import type { AwsIdentity } from '../../../test/support/aws/sigv4.ts';
import { Sts } from '../../../test/support/aws/sts.ts';
import {
  applyRanges,
  MARK,
  manyNetworks,
  planRanges,
  targetOf,
} from '../../../test/support/ranges.ts';

const OLD = manyNetworks(4);

test('22 networks of one region come into one group, and a second apply changes nothing', async (t) => {
  const { aws, groups, target } = await guardedAccount(t);
  const networks = manyNetworks(22);
  await applyRanges(target(), networks);
  assert.deepEqual(peers(groups), [...networks].sort());
  assert.ok(groups.rules.every(({ description }) => description === MARK));
  await applyRanges(target(), networks);
  assert.equal(aws.count('AuthorizeSecurityGroupIngress'), 1);
  assert.equal(aws.count('RevokeSecurityGroupIngress'), 0);
});

test('at its quota a group gives networks to another one first, and loses them then', async (t) => {
  const { aws, groups, target } = await guardedAccount(t, ['sg-1', 'sg-2']);
  for (const peer of manyNetworks(12)) groups.addRule('sg-1', peer, { description: MARK });
  let least = Number.POSITIVE_INFINITY;
  groups.onChange = () => {
    least = Math.min(least, manyNetworks(12).filter((one) => peers(groups).includes(one)).length);
  };
  await applyRanges(target('protocol: tcp, port: 3306, quota: 10'), manyNetworks(12));
  assert.equal(least, 12);
  assert.deepEqual([peers(groups, 'sg-1').length, peers(groups, 'sg-2').length], [10, 2]);
  assert.equal(aws.count('RevokeSecurityGroupIngress'), 1);
});

test('a reference to a prefix list takes as many places as that may have entries', async (t) => {
  const { groups, ec2, target } = await guardedAccount(t);
  ec2.prefixLists.add('pl-1', 'IPv4', 55);
  groups.addRule('sg-1', 'pl-1');
  const { plan } = await planRanges(target(), manyNetworks(6));
  assert.deepEqual(plan.shortage, [{ family: 4, needed: 6, free: 5, leaving: 0 }]);
});

test('the quota is what Service Quotas says, or what the configuration says, or 60', async (t) => {
  const { quotas, target } = await guardedAccount(t);
  const room = async (more?: string) => (await planRanges(target(more), [])).plan.room[0]?.quota;
  quotas.quotas.set('vpc L-0EA8095F', 200);
  assert.equal(await room(), 200);
  assert.equal(await room('protocol: tcp, port: 3306, quota: 80'), 80);
});

test('whoever may not ask for quotas, interfaces and databases plans all the same', async (t) => {
  const less: AwsIdentity = {
    ...ADMIN,
    allows: (action) => !/servicequotas|NetworkInterfaces|^rds:/.test(action),
  };
  const { target } = await guardedAccount(t, ['sg-1'], [less]);
  const { plan, notes } = await planRanges(target(), ['10.0.0.0/24']);
  assert.equal(plan.room[0]?.quota, 60);
  assert.deepEqual(
    notes.map(({ level, text }) => `${level} ${text.replace(/:.*/, '')}`),
    [
      'note whether the groups are attached could not be looked at',
      'note whether databases with these groups take an IAM login could not be looked at',
    ],
  );
});

test('a Duplicate fails its batch: the rest is sent once the rules are read again', async (t) => {
  const { aws, groups, target } = await guardedAccount(t);
  const intruder = () => groups.addRule('sg-1', '10.0.2.0/24', { description: 'by hand' });
  const { plan } = await applyRanges(target(), OLD, intruder);
  assert.equal(plan.add.length, 4);
  assert.deepEqual(peers(groups), [...OLD].sort());
  assert.equal(aws.count('AuthorizeSecurityGroupIngress'), 2);
});

test('two applies at once, from two machines, cut nothing off and both end', async (t) => {
  const { groups, target } = await guardedAccount(t, ['sg-1', 'sg-2']);
  for (const peer of manyNetworks(20)) groups.addRule('sg-1', peer, { description: MARK });
  const wanted = [...manyNetworks(15), ...manyNetworks(15, 50)];
  const cutOff: string[] = [];
  groups.onChange = () => {
    cutOff.push(...manyNetworks(15).filter((network) => !peers(groups).includes(network)));
  };
  await Promise.all([applyRanges(target(), wanted), applyRanges(target(), wanted)]);
  assert.deepEqual(cutOff, []);
  await applyRanges(target(), wanted);
  assert.deepEqual(peers(groups), [...wanted].sort());
});

test('rules that AWS shows late are waited for, and not revoked around', async (t) => {
  const { groups, target } = await guardedAccount(t);
  for (const peer of OLD) groups.addRule('sg-1', peer, { description: MARK });
  groups.lag = 2;
  const { waits } = await applyRanges(target(), ['192.0.2.0/24']);
  assert.ok(waits > 0);
  assert.deepEqual(peers(groups), ['192.0.2.0/24']);
});

test('requests beyond the rate are sent again', async (t) => {
  const { aws, groups, target } = await guardedAccount(t);
  delete process.env.AWS_MAX_ATTEMPTS;
  aws.disturbances.fail('AuthorizeSecurityGroupIngress', requestLimitExceeded(), (n) => n < 3);
  await applyRanges(target(), OLD);
  assert.equal(groups.rules.length, 4);
  assert.equal(aws.count('AuthorizeSecurityGroupIngress'), 3);
});

test('several ports and protocols are each a rule', async (t) => {
  const { groups, target } = await guardedAccount(t);
  await applyRanges(target('protocol: [tcp, udp], port: [3306, "5000-5010"]'), ['10.0.0.0/24']);
  assert.deepEqual(
    groups.rules.map(({ protocol, from, to }) => `${protocol} ${from}-${to}`).sort(),
    ['tcp 3306-3306', 'tcp 5000-5010', 'udp 3306-3306', 'udp 5000-5010'],
  );
  await applyRanges(target('protocol: [icmp, icmpv6]'), ['10.0.0.0/24', '2001:db8::/32']);
  const { plan } = await planRanges(target('protocol: [icmp, icmpv6]'), [
    '10.0.0.0/24',
    '2001:db8::/32',
  ]);
  assert.equal(plan.keep.length, 4);
});

test('a role of another account is assumed, with its external id', async (t) => {
  const arn = 'arn:aws:iam::210987654321:role/ranges';
  const { aws, groups, sts, target } = await guardedAccount(t);
  const other: AwsIdentity = {
    accessKeyId: 'ASIAOTHER',
    secretAccessKey: 's',
    sessionToken: 't',
    arn,
  };
  aws.know(other);
  sts.addRole(arn, other, 'x-1');
  await applyRanges(
    target(`protocol: tcp, port: 1, assumeRole: { role: "${arn}", externalId: x-1 }`),
    OLD,
  );
  assert.equal(groups.rules.length, 4);
  const call = aws.calls.find(({ operation }) => operation === 'AuthorizeSecurityGroupIngress');
  assert.equal(call?.identity.accessKeyId, 'ASIAOTHER');
});

test('targets in several accounts and regions are each kept where they are', async (t) => {
  const arn = 'arn:aws:iam::210987654321:role/ranges';
  const [places, sts] = [new Ec2Places(), new Sts()];
  const other: AwsIdentity = { accessKeyId: 'ASIA1', secretAccessKey: 's', sessionToken: 't', arn };
  sts.addRole(arn, other, 'x-1');
  const services = [places.service, sts.service, new ServiceQuotas().service];
  const aws = await startFakeAws(services, { identities: [ADMIN, other] });
  t.after(aws.close);
  Object.assign(process.env, aws.env());
  const role = `assumeRole: { role: "${arn}", externalId: x-1 }`;
  const TARGETS = [
    ['123456789012', 'ap-northeast-1', '', manyNetworks(3)],
    ['123456789012', 'us-east-1', '', manyNetworks(4)],
    ['210987654321', 'ap-northeast-1', role, manyNetworks(5)],
  ] as const;
  for (const [account, region] of TARGETS)
    places.at(account, region).securityGroups.addGroup('sg-1');
  for (const [, region, more, networks] of TARGETS) {
    const config = targetOf(
      `securityGroups: { groups: [sg-1], protocol: tcp, port: 1, region: ${region}, ${more} }`,
    );
    await applyRanges(config, networks);
  }
  assert.deepEqual(
    TARGETS.map(([account, region]) => places.at(account, region).securityGroups.rules.length),
    [3, 4, 5],
  );
});

test('an endpoint is that of the target alone: roles and quotas are asked for where they always are', async (t) => {
  const arn = 'arn:aws:iam::210987654321:role/ranges';
  const { groups, quotas, sts, aws, target } = await guardedAccount(t);
  const other: AwsIdentity = { accessKeyId: 'ASIA1', secretAccessKey: 's', sessionToken: 't', arn };
  aws.know(other);
  sts.addRole(arn, other);
  quotas.quotas.set('vpc L-0EA8095F', 70);
  const apart = new Ec2();
  const endpoint = await startFakeAws([apart.service], { identities: [other] });
  t.after(endpoint.close);
  apart.securityGroups.addGroup('sg-1');
  const config = target(
    `protocol: tcp, port: 1, assumeRole: "${arn}", endpoint: "${endpoint.url}"`,
  );
  const { plan } = await applyRanges(config, OLD);
  assert.equal(plan.room[0]?.quota, 70);
  assert.deepEqual([apart.securityGroups.rules.length, groups.rules.length], [4, 0]);
});

test('a right that is missing is told, and where rights are listed', async (t) => {
  const less: AwsIdentity = { ...ADMIN, allows: (action) => !action.includes('Authorize') };
  const { target } = await guardedAccount(t, ['sg-1'], [less]);
  await assert.rejects(applyRanges(target(), OLD), {
    code: 'ranges-unavailable',
    message: /rds: sg-1: UnauthorizedOperation: .*sekisho ranges policy/,
  });
});

test('a group that does not exist is told before anything is changed', async (t) => {
  const { groups, target } = await guardedAccount(t, ['sg-1', 'sg-2']);
  groups.addGroup('sg-1');
  const config = targetOf(
    'securityGroups: { groups: [sg-9], protocol: tcp, port: 1, region: ap-northeast-1 }',
  );
  await assert.rejects(planRanges(config, OLD), { message: /sg-9.*InvalidGroup\.NotFound/ });
  await planRanges(target(), OLD);
});

test('groups that are not on the same interface, or too many for it, are warned of', async (t) => {
  const { groups, target } = await guardedAccount(t, ['sg-1', 'sg-2']);
  groups.interfaces.push({ id: 'eni-2', groups: ['sg-2'] });
  const { notes } = await planRanges(target('protocol: tcp, port: 1, quota: 600'), OLD);
  assert.deepEqual(
    notes.map(({ text }) => text),
    [
      'eni-1 has 2 groups of 600 rules, and AWS allows 1000 rules on an interface',
      'eni-2 lacks sg-1: what stands there does not pass to it',
    ],
  );
  groups.interfaces.length = 0;
  const alone = await planRanges(target(), OLD);
  assert.match(alone.notes[0]?.text ?? '', /no network interface has any of the groups/);
});

test('from where else the same ports are reached is told', async (t) => {
  const { groups, target } = await guardedAccount(t);
  groups.addRule('sg-1', '192.0.2.0/24');
  groups.addRule('sg-1', '198.51.100.0/24', { from: 22, to: 22 });
  const { notes } = await planRanges(target(), OLD);
  assert.deepEqual(notes, [
    {
      level: 'note',
      text: 'rules of others let the same ports be reached from 192.0.2.0/24 tcp:3306 in sg-1',
    },
  ]);
  groups.addRule('sg-1', '0.0.0.0/0', { protocol: '-1', from: -1, to: -1 });
  const open = await planRanges(target(), OLD);
  assert.deepEqual(
    open.notes.map(({ level }) => level),
    ['warning'],
  );
});

test('databases with one of the groups are told, and whether they take an IAM login', async (t) => {
  const { rds, target } = await guardedAccount(t, ['sg-1', 'sg-2']);
  const [mysql, aurora] = [{ engine: 'mysql' }, { engine: 'aurora-postgresql', groups: ['sg-2'] }];
  rds.instances.push(
    { ...mysql, id: 'elsewhere', groups: ['sg-9'], iamLogin: false },
    { ...mysql, id: 'orders', groups: ['sg-9', 'sg-1'], iamLogin: true },
    // An instance of a cluster says nothing: the login is the cluster's.
    { ...aurora, id: 'shop-1', cluster: 'shop', iamLogin: false },
  );
  rds.clusters.push({ ...aurora, id: 'shop', iamLogin: true });
  const { notes } = await planRanges(target(), OLD);
  assert.deepEqual(notes, [
    {
      level: 'note',
      about: 'login',
      text: 'behind these groups, with an IAM login: orders (mysql), shop (aurora-postgresql)',
    },
  ]);
  rds.instances.push({ ...mysql, id: 'old', groups: ['sg-2'], iamLogin: false });
  const open = await planRanges(target(), OLD);
  assert.match(
    open.notes[1]?.text ?? '',
    /^behind these groups, without an IAM login: old \(mysql\);/,
  );
  assert.equal(open.notes[1]?.level, 'warning');
});

test('an apply looks neither at interfaces nor at databases', async (t) => {
  const { aws, target } = await guardedAccount(t);
  await applyRanges(target(), OLD);
  assert.deepEqual(
    [aws.count('DescribeNetworkInterfaces'), aws.count('DescribeDBInstances')],
    [0, 0],
  );
});

test('rules for what goes out are never touched, though they carry the mark', async (t) => {
  const { groups, target } = await guardedAccount(t);
  const out = { egress: true, description: MARK };
  for (const peer of [...OLD, '192.0.2.0/24']) groups.addRule('sg-1', peer, out);
  const before = [...groups.rules];
  await applyRanges(target(), OLD);
  await applyRanges(target(), []);
  assert.deepEqual(groups.rules, before);
  const { plan } = await planRanges(target(), OLD);
  assert.deepEqual([plan.keep.length, plan.room[0]?.before], [0, 0]);
});

test('a quota that is lower than the configuration says is told as such', async (t) => {
  const { groups, target } = await guardedAccount(t);
  groups.quota = 3;
  await assert.rejects(applyRanges(target(), OLD), {
    code: 'ranges-no-room',
    message: /full at fewer rules than its quota of 60/,
  });
});

test('what AWS says of another failure goes on as it is', async (t) => {
  const { aws, target } = await guardedAccount(t);
  aws.disturbances.fail(
    'RevokeSecurityGroupIngress',
    new AwsError('DependencyViolation', 'in use'),
  );
  await applyRanges(target(), OLD);
  await assert.rejects(applyRanges(target(), []), { message: /DependencyViolation: in use/ });
});
