import { AwsError, accessDenied } from './aws-error.ts';
import { jsonProtocol } from './json-protocol.ts';
import type { FakeService } from './service.ts';

/** Service Quotas, by service and code. */
export class ServiceQuotas {
  readonly quotas = new Map<string, number>();

  readonly service: FakeService = {
    name: 'servicequotas',
    protocol: jsonProtocol('ServiceQuotasV20190624'),
    operations: {
      GetServiceQuota: ({ ServiceCode, QuotaCode }, { identity, operation }) => {
        if (identity.allows?.(`servicequotas:${operation}`, '*') === false) {
          throw accessDenied(identity.arn, `servicequotas:${operation}`, '*');
        }
        const value = this.quotas.get(`${ServiceCode} ${QuotaCode}`);
        if (value === undefined) throw new AwsError('NoSuchResourceException', 'no such quota');
        return { Quota: { ServiceCode, QuotaCode, Value: value } };
      },
    },
  };
}
