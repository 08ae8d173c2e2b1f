import { queryProtocol } from './query-protocol.ts';
import type { FakeService } from './service.ts';

/** STS, as far as telling a caller who it is. */
export const STS: FakeService = {
  name: 'sts',
  protocol: queryProtocol('https://sts.amazonaws.com/doc/2011-06-15/'),
  operations: {
    GetCallerIdentity: (_input, { identity }) => ({
      Arn: identity.arn,
      UserId: identity.accessKeyId,
      Account: identity.arn.split(':')[4],
    }),
  },
};
