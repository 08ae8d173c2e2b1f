import type { TestContext } from 'node:test';
import { targetOf } from '../ranges.ts';
import { Ec2 } from './ec2.ts';
import { ADMIN, startFakeAws } from './fake-aws.ts';
import { Rds } from './rds.ts';
import { ServiceQuotas } from './service-quotas.ts';
import { Sts } from './sts.ts';

/** An account with security groups, all attached to one interface, and a target that has them. */
export async function guardedAccount(
  t: TestContext,
  groups: readonly string[] = ['sg-1'],
  identities = [ADMIN],
) {
  const ec2 = new Ec2();
  const quotas = new ServiceQuotas();
  const sts = new Sts();
  const rds = new Rds();
  const aws = await startFakeAws([ec2.service, quotas.service, sts.service, rds.service], {
    identities,
  });
  t.after(aws.close);
  Object.assign(process.env, aws.env(identities[0]));
  for (const group of groups) ec2.securityGroups.addGroup(group);
  ec2.securityGroups.interfaces.push({ id: 'eni-1', groups: [...groups] });
  const target = (more = 'protocol: tcp, port: 3306') =>
    targetOf(`securityGroups: { groups: [${groups.join(', ')}], region: ap-northeast-1, ${more} }`);
  return { aws, groups: ec2.securityGroups, ec2, quotas, rds, sts, target };
}

/** Networks that a group has rules for. @param group all, without it */
export function peers(
  given: Awaited<ReturnType<typeof guardedAccount>>['groups'],
  group?: string,
): string[] {
  return given.rules
    .filter((rule) => group === undefined || rule.group === group)
    .map(({ peer }) => peer)
    .sort();
}
