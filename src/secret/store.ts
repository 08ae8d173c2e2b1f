import type { RemoteSecretRef } from '../config/config.ts';
import { Fault } from '../core/diagnostic.ts';
import { Secret } from '../core/secret.ts';
import type { Fetched, Lookup, SecretCache } from './cache.ts';
import { SecretFailure } from './failure.ts';
import type { RemoteSource } from './remote-source.ts';
import { SecretsManager } from './secrets-manager.ts';
import { checkValue, type SecretSurroundings } from './source.ts';
import { type ParameterBelow, ParameterStore } from './ssm.ts';
import { Vault } from './vault.ts';

/** A secret as it is now. */
export interface CurrentSecret {
  readonly secret: Secret;
  /** Of its source; undefined where that has none. */
  readonly version: string | undefined;
  /** Tells the source that a destination refused it. @returns whether the next one is read anew */
  refuse(): boolean;
}

export interface BelowPath {
  readonly parameters: ReadonlyMap<string, Secret>;
  readonly version: string | undefined;
  refuse(): boolean;
}

/** Secrets that are kept elsewhere and change while the gateway runs, and those that it was started with. */
export class SecretStore {
  readonly cache: SecretCache;
  readonly #surroundings: Pick<SecretSurroundings, 'env'>;
  readonly #opened = new Map<string, Promise<unknown>>();

  constructor(cache: SecretCache, surroundings: Pick<SecretSurroundings, 'env'>) {
    this.cache = cache;
    this.#surroundings = surroundings;
  }

  /** @throws SecretFailure */
  async current(ref: RemoteSecretRef, ttlMs: number): Promise<CurrentSecret> {
    const source = await this.#source(ref);
    const description = source.describe(ref);
    const lookup: Lookup<Secret> = {
      key: description,
      source: ref.from,
      ttlMs,
      fetch: async (signal) => {
        const { value, ...rest } = await source.fetch(ref, signal);
        return { ...rest, value: toSecret(description, value, ref.multiline) };
      },
    };
    return this.#currentOf(lookup, await this.cache.get(lookup));
  }

  /** All parameters of Parameter Store below a path. @throws SecretFailure */
  async below(path: string, ttlMs: number): Promise<BelowPath> {
    const key = `ssm ${path}/`;
    const { value: parameters, version } = await this.cache.get({
      key,
      source: 'ssm',
      ttlMs,
      fetch: async (signal) => {
        const store = await this.#open('ssm', () => ParameterStore.open(this.#surroundings));
        return toSecrets(path, await store.fetchBelow(path, signal));
      },
    });
    return { parameters, version, refuse: () => this.cache.refuse(key, version) };
  }

  #currentOf({ key }: Lookup<Secret>, { value, version }: Fetched<Secret>): CurrentSecret {
    return { secret: value, version, refuse: () => this.cache.refuse(key, version) };
  }

  #source(ref: RemoteSecretRef): Promise<RemoteSource<RemoteSecretRef['from']>> {
    const around = this.#surroundings;
    switch (ref.from) {
      case 'ssm':
        return this.#open('ssm', () => ParameterStore.open(around));
      case 'secretsManager':
        return this.#open('secretsManager', () => SecretsManager.open(around));
      case 'vault':
        return this.#open('vault', async () => new Vault(around));
    }
  }

  /** Once for each kind: what was opened keeps its connections. */
  #open<Source>(kind: string, open: () => Promise<Source>): Promise<Source> {
    const opened = this.#opened.get(kind) ?? open();
    this.#opened.set(kind, opened);
    return opened as Promise<Source>;
  }
}

function toSecrets(
  path: string,
  { value, ...rest }: Fetched<readonly ParameterBelow[]>,
): Fetched<ReadonlyMap<string, Secret>> {
  const entries = value.map(({ name, value: text }): [string, Secret] => {
    return [name, new Secret(`ssm ${path}/${name}`, text)];
  });
  return { ...rest, value: new Map(entries) };
}

/** @throws SecretFailure `invalid` */
function toSecret(description: string, value: string, multiline = false): Secret {
  try {
    checkValue(description, value, multiline);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new SecretFailure('invalid', error.message);
  }
  return new Secret(description, value);
}
