import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { RangesTargetConfig } from '../../src/config/ranges-config.ts';
import { rightsOf } from '../../src/ranges/rights.ts';
import { Ec2 } from '../support/aws/ec2.ts';
import { ADMIN, startFakeAws } from '../support/aws/fake-aws.ts';
import { type Policy, policyAllows } from '../support/aws/iam.ts';
import { Rds } from '../support/aws/rds.ts';
import { ServiceQuotas } from '../support/aws/service-quotas.ts';
import type { AwsIdentity } from '../support/aws/sigv4.ts';
import { Sts } from '../support/aws/sts.ts';
import { Wafv2 } from '../support/aws/wafv2.ts';
import { applyRanges, MARK, planRanges, targetOf } from '../support/ranges.ts';

const ROLE = 'arn:aws:iam::210987654321:role/ranges';

const TARGETS = {
  securityGroups: 'securityGroups: { groups: [sg-1], protocol: tcp, port: 1, ',
  prefixLists: 'prefixLists: { lists: [pl-1], ',
  wafIpSets: 'wafIpSets: { ipSets: [{ name: four, id: a4 }], ',
} as const;

/** An account where something has to be added and something removed, whoever comes with which rights. */
async function account(t: TestContext, policy: Policy, role?: Policy) {
  const [ec2, waf, rds, quotas, sts] = [
    new Ec2(),
    new Wafv2(),
    new Rds(),
    new ServiceQuotas(),
    new Sts(),
  ];
  const caller: AwsIdentity = { ...ADMIN, allows: policyAllows(policy) };
  const assumed: AwsIdentity = {
    accessKeyId: 'ASIAOTHER',
    secretAccessKey: 's',
    sessionToken: 't',
    arn: ROLE,
    allows: policyAllows(role ?? policy),
  };
  sts.addRole(ROLE, assumed, 'x-1');
  const services = [ec2, waf, rds, quotas, sts].map(({ service }) => service);
  const aws = await startFakeAws(services, { identities: [caller, assumed] });
  t.after(aws.close);
  Object.assign(process.env, aws.env(caller));
  const groups = ec2.securityGroups;
  groups.addGroup('sg-1');
  groups.addRule('sg-1', '10.9.0.0/16', { description: MARK, from: 1, to: 1 });
  ec2.prefixLists.add('pl-2', 'IPv4', 5);
  groups.addRule('sg-1', 'pl-2');
  groups.interfaces.push({ id: 'eni-1', groups: ['sg-1'] });
  ec2.prefixLists.add('pl-1', 'IPv4', 9).entries.push({ cidr: '10.9.0.0/16', description: MARK });
  const set = waf.add('four', 'a4', 'IPV4');
  Object.assign(set, { addresses: ['10.9.0.0/16'], description: MARK });
  rds.instances.push({ id: 'orders', engine: 'mysql', groups: ['sg-1'], iamLogin: true });
  quotas.quotas.set('vpc L-0EA8095F', 70);
  return aws;
}

/** All that a person is told of it, and whether it comes to its end. */
async function work(config: RangesTargetConfig): Promise<string> {
  try {
    const { notes, plan } = await planRanges(config, ['10.0.0.0/24']);
    await applyRanges(config, ['10.0.0.0/24']);
    return JSON.stringify({ notes, room: plan.room });
  } catch (error) {
    return String(error);
  }
}

function policyOf(config: RangesTargetConfig, role?: string): Policy {
  return rightsOf([config]).find((one) => one.role === role)?.policy as Policy;
}

for (const [kind, yaml] of Object.entries(TARGETS)) {
  test(`the rights that are printed for ${kind} are enough, and none of them can be missing`, async (t) => {
    const config = targetOf(`${yaml} region: ap-northeast-1 }`);
    const policy = policyOf(config);
    await account(t, { Statement: [{ Action: ['*'], Resource: ['*'] }] });
    const whole = await work(config);
    assert.match(whole, /^\{/);
    const aws = await account(t, policy);
    assert.equal(await work(config), whole);
    const called = new Set(aws.calls.map(({ service, operation }) => `${service}:${operation}`));
    const printed = policy.Statement.flatMap(({ Action }) => Action);
    assert.deepEqual([...called].sort(), [...printed].sort());
    for (const action of printed) {
      const Statement = policy.Statement.map((one) => ({
        ...one,
        Action: one.Action.filter((other) => other !== action),
      }));
      await account(t, { Statement });
      assert.notEqual(await work(config), whole, action);
    }
  });
}

test('what is to be changed is named: the same actions on something else are refused', async (t) => {
  const config = targetOf(`${TARGETS.securityGroups} region: ap-northeast-1 }`);
  for (const yaml of [
    'securityGroups: { groups: [sg-2], protocol: tcp, port: 1, region: ap-northeast-1 }',
    'securityGroups: { groups: [sg-1], protocol: tcp, port: 1, region: us-east-1 }',
  ]) {
    await account(t, policyOf(targetOf(yaml)));
    assert.match(await work(config), /UnauthorizedOperation.*sekisho ranges policy/);
  }
});

test('in another account the role has the rights, and whoever assumes it that one alone', async (t) => {
  const config = targetOf(
    `${TARGETS.securityGroups} region: ap-northeast-1, assumeRole: { role: "${ROLE}", externalId: x-1 } }`,
  );
  const aws = await account(t, policyOf(config), policyOf(config, ROLE));
  assert.match(await work(config), /^\{/);
  const own = aws.calls.filter(({ identity }) => identity.arn === ADMIN.arn);
  assert.deepEqual([...new Set(own.map(({ operation }) => operation))], ['AssumeRole']);
});
