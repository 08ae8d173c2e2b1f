import { AwsError } from './aws-error.ts';
import { permitted } from './iam.ts';
import { queryProtocol } from './query-protocol.ts';
import type { Call, FakeService, Input } from './service.ts';
import type { AwsIdentity } from './sigv4.ts';

/** STS: who a caller is, and roles that can be assumed. */
export class Sts {
  readonly #roles = new Map<string, { identity: AwsIdentity; externalId: string | undefined }>();

  /** A role that gives these credentials, to whoever says the external id. */
  addRole(arn: string, identity: AwsIdentity, externalId?: string): void {
    this.#roles.set(arn, { identity, externalId });
  }

  readonly service: FakeService = permitted({
    name: 'sts',
    protocol: queryProtocol('https://sts.amazonaws.com/doc/2011-06-15/'),
    resources: ({ operation, input }) => [operation === 'AssumeRole' ? String(input.RoleArn) : '*'],
    operations: {
      AssumeRole: (input, call) => this.#assume(input, call),
      GetCallerIdentity: (_input, { identity }) => ({
        Arn: identity.arn,
        UserId: identity.accessKeyId,
        Account: identity.arn.split(':')[4],
      }),
    },
  });

  #assume({ RoleArn, RoleSessionName, ExternalId }: Input, { identity }: Call) {
    const role = this.#roles.get(String(RoleArn));
    if (role === undefined || role.externalId !== ExternalId) {
      const message = `User: ${identity.arn} is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`;
      throw new AwsError('AccessDenied', message, 403);
    }
    const { accessKeyId, secretAccessKey, sessionToken } = role.identity;
    return {
      AssumedRoleUser: { Arn: `${role.identity.arn}/${RoleSessionName}`, AssumedRoleId: 'AROA:x' },
      Credentials: {
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        SessionToken: sessionToken,
        Expiration: new Date(Date.now() + 3_600_000),
      },
    };
  }
}
