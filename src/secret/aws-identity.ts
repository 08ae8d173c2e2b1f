import { awsFailure, clientConfig } from './aws.ts';
import type { SecretSurroundings } from './source.ts';

/** What requests to AWS are signed with. */
export interface FoundIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/**
 * The identity that the SDK finds: environment, profile, container, instance. Temporary ones are found anew before they
 * end.
 *
 * @returns gives the identity as it is now @throws SecretFailure
 */
export function findIdentity({
  env,
}: Pick<SecretSurroundings, 'env'>): () => Promise<FoundIdentity> {
  let find: (() => Promise<FoundIdentity>) | undefined;
  return async () => {
    const { credentials } = clientConfig(env, 'STS');
    if (credentials !== undefined) return credentials;
    try {
      find ??= (await import('@aws-sdk/credential-provider-node')).defaultProvider();
      return await find();
    } catch (error) {
      throw awsFailure('the identity for AWS', error);
    }
  };
}
