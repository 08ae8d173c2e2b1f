import { SecretFailure } from './failure.ts';
import type { SecretSurroundings } from './source.ts';

type Environment = SecretSurroundings['env'];

/**
 * What the SDK's clients take from the environment, by the SDK's own names, where it is handed in and not this process's.
 * What is not there is left to the SDK.
 *
 * @param service as in `AWS_ENDPOINT_URL_SSM`
 */
export function clientConfig(env: Environment, service: string) {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_MAX_ATTEMPTS } = env;
  const region = env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  const endpoint = env[`AWS_ENDPOINT_URL_${service}`] ?? env.AWS_ENDPOINT_URL;
  const isStatic = AWS_ACCESS_KEY_ID !== undefined && AWS_SECRET_ACCESS_KEY !== undefined;
  return {
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(AWS_MAX_ATTEMPTS !== undefined && { maxAttempts: Number(AWS_MAX_ATTEMPTS) }),
    ...(isStatic && {
      credentials: {
        accessKeyId: AWS_ACCESS_KEY_ID,
        secretAccessKey: AWS_SECRET_ACCESS_KEY,
        ...(AWS_SESSION_TOKEN !== undefined && { sessionToken: AWS_SESSION_TOKEN }),
      },
    }),
  };
}

const MISSING = /^(?:ParameterNotFound|ParameterVersionNotFound|ResourceNotFoundException)$/;
const DENIED =
  /AccessDenied|NotAuthorized|UnrecognizedClient|ExpiredToken|InvalidSignature|IncompleteSignature|InvalidClientTokenId|MissingAuthentication|CredentialsProviderError|InvalidRequestException|DecryptionFailure/;
const THROTTLED = /Throttl|TooManyRequests|RequestLimitExceeded|TooManyUpdates/;

/** What an error of the SDK says of a secret. */
export function awsFailure(what: string, error: unknown): SecretFailure {
  if (error instanceof SecretFailure) return error;
  const { name, message } = error as Error;
  return new SecretFailure(kindOf(name), `${what}: ${name}: ${message}`, { cause: error });
}

function kindOf(name: string) {
  if (MISSING.test(name)) return 'missing';
  if (DENIED.test(name)) return 'denied';
  if (THROTTLED.test(name)) return 'throttled';
  return name === 'TimeoutError' || name === 'AbortError' ? 'slow' : 'unavailable';
}
