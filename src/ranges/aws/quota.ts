import { awsCode, isDenied } from './aws-failure.ts';
import type { ClientOptions } from './client-options.ts';

/** What an account has where nobody raised it. */
export const RULES_PER_GROUP = 60;
const CODE = 'L-0EA8095F';

/** Inbound or outbound rules of one family in a security group; undefined where this may not be asked, or is not on record. */
export async function rulesPerGroup(
  options: ClientOptions,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { GetServiceQuotaCommand, ServiceQuotasClient } = await import(
    '@aws-sdk/client-service-quotas'
  );
  const client = new ServiceQuotasClient(options);
  try {
    const asked = new GetServiceQuotaCommand({ ServiceCode: 'vpc', QuotaCode: CODE });
    const { Quota } = await client.send(asked, { abortSignal: signal });
    return Quota?.Value;
  } catch (error) {
    signal.throwIfAborted();
    // An account whose quota was never changed may have none on record.
    if (isDenied(error) || awsCode(error) === 'NoSuchResourceException') return undefined;
    throw error;
  } finally {
    client.destroy();
  }
}
