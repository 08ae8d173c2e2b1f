import type { EC2Client } from '@aws-sdk/client-ec2';
import type { AwsPlace } from '../../config/ranges-config.ts';
import { clientOptions } from './client-options.ts';

/** An SDK and a client of it. */
interface Loaded<Sdk, Client> {
  readonly sdk: Sdk;
  readonly client: Client;
}

/** A client whose SDK is loaded with its first use: it takes long, and most commands need one of them at most. */
export class LazyClient<Sdk, Client extends { destroy(): void }> {
  readonly #load: () => Promise<Loaded<Sdk, Client>>;
  #loading: Promise<Loaded<Sdk, Client>> | undefined;
  #loaded: Loaded<Sdk, Client> | undefined;

  constructor(load: () => Promise<Loaded<Sdk, Client>>) {
    this.#load = load;
  }

  async get(): Promise<Loaded<Sdk, Client>> {
    this.#loading ??= this.#load();
    this.#loaded = await this.#loading;
    return this.#loaded;
  }

  close(): void {
    this.#loaded?.client.destroy();
  }
}

type Ec2 = typeof import('@aws-sdk/client-ec2');

export function ec2(place: AwsPlace): LazyClient<Ec2, EC2Client> {
  return new LazyClient(async () => {
    const sdk = await import('@aws-sdk/client-ec2');
    return { sdk, client: new sdk.EC2Client(clientOptions(place)) };
  });
}
