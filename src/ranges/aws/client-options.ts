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

/** For the service that a target is at. */
export function clientOptions(place: AwsPlace): ClientOptions {
  const { endpoint } = place;
  return { ...besideOptions(place), ...(endpoint !== undefined && { endpoint }) };
}

/**
 * For services that are asked besides: a target's endpoint is not theirs. Credentials are those of the SDK's own environment, or
 * of a role that these may assume.
 */
export function besideOptions({ region, role }: AwsPlace): ClientOptions {
  const base: ClientOptions = { region, retryMode: 'standard', maxAttempts: attempts() };
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
