import { AwsError } from './aws-error.ts';
import { ec2Protocol } from './ec2-protocol.ts';
import { FakePrefixLists } from './prefix-lists.ts';
import { FakeSecurityGroups } from './security-groups.ts';
import type { FakeService, Operation } from './service.ts';

/** EC2, in memory, as far as allow-lists go. */
export class Ec2 {
  readonly securityGroups = new FakeSecurityGroups();
  readonly prefixLists = new FakePrefixLists();

  constructor() {
    this.securityGroups.weightOf = (id) => this.prefixLists.lists.get(id)?.maxEntries ?? 1;
  }

  readonly service: FakeService = {
    name: 'ec2',
    protocol: ec2Protocol,
    operations: permitted({ ...this.securityGroups.operations, ...this.prefixLists.operations }),
  };
}

/** What an identity has no right to is refused as EC2 does it. */
function permitted(operations: Readonly<Record<string, Operation>>): Record<string, Operation> {
  return Object.fromEntries(
    Object.entries(operations).map(([name, run]): [string, Operation] => [
      name,
      (input, call) => {
        if (call.identity.allows?.(`ec2:${name}`, '*') !== false) return run(input, call);
        throw new AwsError(
          'UnauthorizedOperation',
          `You are not authorized to perform this operation. User: ${call.identity.arn}`,
          403,
        );
      },
    ]),
  );
}

/** What EC2 answers beyond its rate. */
export function requestLimitExceeded(): AwsError {
  return new AwsError('RequestLimitExceeded', 'Request limit exceeded.', 503);
}
