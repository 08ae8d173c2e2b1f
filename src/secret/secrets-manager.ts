import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { awsFailure, clientConfig } from './aws.ts';
import type { Fetched } from './cache.ts';
import { valueOfKey } from './key.ts';
import type { RemoteRefOf, RemoteSource } from './remote-source.ts';
import type { SecretSurroundings } from './source.ts';

/** AWS Secrets Manager: the current version of a secret, or one key of it where it is a JSON map. */
export class SecretsManager implements RemoteSource<'secretsManager'> {
  readonly #sdk: typeof import('@aws-sdk/client-secrets-manager');
  readonly #client: SecretsManagerClient;

  private constructor(
    sdk: typeof import('@aws-sdk/client-secrets-manager'),
    client: SecretsManagerClient,
  ) {
    this.#sdk = sdk;
    this.#client = client;
  }

  static async open({ env }: Pick<SecretSurroundings, 'env'>): Promise<SecretsManager> {
    const sdk = await import('@aws-sdk/client-secrets-manager');
    const config = clientConfig(env, 'SECRETS_MANAGER');
    return new SecretsManager(sdk, new sdk.SecretsManagerClient(config));
  }

  describe({ id, key }: RemoteRefOf<'secretsManager'>): string {
    return key === undefined ? `secretsManager ${id}` : `secretsManager ${id} ${key}`;
  }

  async fetch(
    ref: RemoteRefOf<'secretsManager'>,
    abortSignal: AbortSignal,
  ): Promise<Fetched<string>> {
    const what = this.describe(ref);
    const command = new this.#sdk.GetSecretValueCommand({ SecretId: ref.id });
    try {
      const { SecretString, SecretBinary, VersionId } = await this.#client.send(command, {
        abortSignal,
      });
      const text = SecretString ?? new TextDecoder('utf-8', { fatal: true }).decode(SecretBinary);
      const value = ref.key === undefined ? text : valueOfKey(what, text, ref.key);
      return { value, version: VersionId };
    } catch (error) {
      throw awsFailure(what, error);
    }
  }
}
