import type { AwsPlace } from '../../config/ranges-config.ts';

/** What every client of AWS is made with. */
export interface ClientOptions {
  readonly region: string;
  readonly endpoint?: string;
  readonly credentials?: () => Promise<TemporaryCredentials>;
  readonly retryMode: 'standard';
  readonly maxAttempts: number;
}

interface TemporaryCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** Throttling (`RequestLimitExceeded`) is waited out by the SDK, longer each time and by chance. */
const ATTEMPTS = 8;

/** Credentials are those of the SDK's own environment, or of a role that these may assume. */
export function clientOptions({ region, endpoint, role }: AwsPlace): ClientOptions {
  const base: ClientOptions = {
    region,
    ...(endpoint !== undefined && { endpoint }),
    retryMode: 'standard',
    maxAttempts: attempts(),
  };
  return role === undefined ? base : { ...base, credentials: () => assume(role, base) };
}

/** The SDK's own variable outweighs what this program finds right. */
function attempts(): number {
  const told = Number(process.env.AWS_MAX_ATTEMPTS);
  return Number.isInteger(told) && told > 0 ? told : ATTEMPTS;
}

async function assume(
  role: NonNullable<AwsPlace['role']>,
  options: ClientOptions,
): Promise<TemporaryCredentials> {
  const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
  const client = new STSClient(options);
  try {
    const { Credentials: made } = await client.send(
      new AssumeRoleCommand({
        RoleArn: role.arn,
        RoleSessionName: 'sekisho-ranges',
        ...(role.externalId !== undefined && { ExternalId: role.externalId }),
      }),
    );
    if (!made?.AccessKeyId || !made.SecretAccessKey || !made.SessionToken || !made.Expiration) {
      throw new Error(`STS gave no credentials for ${role.arn}`);
    }
    return {
      accessKeyId: made.AccessKeyId,
      secretAccessKey: made.SecretAccessKey,
      sessionToken: made.SessionToken,
      expiration: made.Expiration,
    };
  } finally {
    client.destroy();
  }
}
