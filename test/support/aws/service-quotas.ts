import { AwsError } from './aws-error.ts';
import { permitted } from './iam.ts';
import { jsonProtocol } from './json-protocol.ts';
import type { FakeService } from './service.ts';

/** Service Quotas, by service and code. */
export class ServiceQuotas {
  readonly quotas = new Map<string, number>();

  readonly service: FakeService = permitted({
    name: 'servicequotas',
    protocol: jsonProtocol('ServiceQuotasV20190624'),
    operations: {
      GetServiceQuota: ({ ServiceCode, QuotaCode }) => {
        const value = this.quotas.get(`${ServiceCode} ${QuotaCode}`);
        if (value === undefined) throw new AwsError('NoSuchResourceException', 'no such quota');
        return { Quota: { ServiceCode, QuotaCode, Value: value } };
      },
    },
  });
}
