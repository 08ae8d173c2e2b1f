import type { Parameter, SSMClient } from '@aws-sdk/client-ssm';
import { awsFailure, clientConfig } from './aws.ts';
import type { Fetched } from './cache.ts';
import { SecretFailure } from './failure.ts';
import type { RemoteRefOf, RemoteSource } from './remote-source.ts';
import type { SecretSurroundings } from './source.ts';

/** Parameters below one path: more than this is no set of credentials of one host. */
const MAX_BELOW = 200;

/** A parameter below a path, by what stands behind the path and a slash. */
export interface ParameterBelow {
  readonly name: string;
  readonly value: string;
  readonly version: number;
}

/** Systems Manager Parameter Store. */
export class ParameterStore implements RemoteSource<'ssm'> {
  readonly #sdk: typeof import('@aws-sdk/client-ssm');
  readonly #client: SSMClient;

  private constructor(sdk: typeof import('@aws-sdk/client-ssm'), client: SSMClient) {
    this.#sdk = sdk;
    this.#client = client;
  }

  static async open({ env }: Pick<SecretSurroundings, 'env'>): Promise<ParameterStore> {
    const sdk = await import('@aws-sdk/client-ssm');
    return new ParameterStore(sdk, new sdk.SSMClient(clientConfig(env, 'SSM')));
  }

  describe({ name }: RemoteRefOf<'ssm'>): string {
    return `ssm ${name}`;
  }

  async fetch(ref: RemoteRefOf<'ssm'>, abortSignal: AbortSignal): Promise<Fetched<string>> {
    const command = new this.#sdk.GetParameterCommand({ Name: ref.name, WithDecryption: true });
    try {
      const { Parameter } = await this.#client.send(command, { abortSignal });
      if (Parameter?.Value === undefined) throw new TypeError('an answer without a value');
      return { value: Parameter.Value, version: String(Parameter.Version) };
    } catch (error) {
      throw awsFailure(this.describe(ref), error);
    }
  }

  /**
   * All parameters below a path, through every page: should one of them fail, nothing is given.
   *
   * @throws SecretFailure `missing` where there are none
   */
  async fetchBelow(
    path: string,
    abortSignal: AbortSignal,
  ): Promise<Fetched<readonly ParameterBelow[]>> {
    // Nothing can be stored under such a name: AWS refuses it, as it would refuse to look.
    if (path.includes(':')) throw noneBelow(path);
    const below: ParameterBelow[] = [];
    let NextToken: string | undefined;
    try {
      do {
        const asked = { Path: path, Recursive: true, WithDecryption: true, NextToken };
        const command = new this.#sdk.GetParametersByPathCommand(asked);
        const page = await this.#client.send(command, { abortSignal });
        for (const parameter of page.Parameters ?? []) below.push(toBelow(path, parameter));
        if (below.length > MAX_BELOW) {
          throw new SecretFailure('invalid', `ssm ${path}: more than ${MAX_BELOW} parameters`);
        }
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
    } catch (error) {
      throw awsFailure(`ssm ${path}`, error);
    }
    if (below.length === 0)
      throw new SecretFailure('missing', `ssm ${path}: no parameter below it`);
    return { value: below, version: versionOf(below) };
  }
}

function noneBelow(path: string): SecretFailure {
  return new SecretFailure('missing', `ssm ${path}: no parameter below it`);
}

function toBelow(path: string, { Name = '', Value, Version = 0 }: Parameter): ParameterBelow {
  if (Value === undefined || !Name.startsWith(`${path}/`)) {
    throw new TypeError('a parameter that was not asked for');
  }
  return { name: Name.slice(path.length + 1), value: Value, version: Version };
}

/** `headers/Authorization:3,queries/key:1` */
function versionOf(below: readonly ParameterBelow[]): string {
  return below
    .map(({ name, version }) => `${name}:${version}`)
    .sort()
    .join();
}
