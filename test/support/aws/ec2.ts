import { AwsError } from './aws-error.ts';
import { ec2Protocol } from './ec2-protocol.ts';
import { permitted } from './iam.ts';
import { FakePrefixLists } from './prefix-lists.ts';
import { FakeSecurityGroups } from './security-groups.ts';
import type { Call, FakeService } from './service.ts';

/** EC2, in memory, as far as allow-lists go. */
export class Ec2 {
  readonly securityGroups = new FakeSecurityGroups();
  readonly prefixLists = new FakePrefixLists();

  constructor() {
    this.securityGroups.weightOf = (id) => this.prefixLists.lists.get(id)?.maxEntries ?? 1;
  }

  readonly service: FakeService = permitted({
    name: 'ec2',
    protocol: ec2Protocol,
    resources,
    operations: { ...this.securityGroups.operations, ...this.prefixLists.operations },
  });
}

/** EC2 knows none in what only describes. */
function resources({ operation, input }: Call): readonly string[] {
  const group = `security-group/${input.GroupId}`;
  if (operation === 'AuthorizeSecurityGroupIngress') return [group, 'security-group-rule/*'];
  if (operation === 'RevokeSecurityGroupIngress') return [group];
  return operation.startsWith('Describe') ? ['*'] : [`prefix-list/${input.PrefixListId}`];
}

/** What EC2 answers beyond its rate. */
export function requestLimitExceeded(): AwsError {
  return new AwsError('RequestLimitExceeded', 'Request limit exceeded.', 503);
}
