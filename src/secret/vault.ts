import { jsonOf } from '../core/json.ts';
import type { Fetched } from './cache.ts';
import { type FailureKind, SecretFailure } from './failure.ts';
import { textOf } from './key.ts';
import type { RemoteRefOf, RemoteSource } from './remote-source.ts';
import type { SecretSurroundings } from './source.ts';

const MAX_BYTES = 1024 * 1024;

/**
 * HashiCorp Vault's KV engine, version 2 (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2). Where it is and
 * what it knows the gateway by come from Vault's own variables: VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE.
 */
export class Vault implements RemoteSource<'vault'> {
  readonly #env: SecretSurroundings['env'];

  constructor({ env }: Pick<SecretSurroundings, 'env'>) {
    this.#env = env;
  }

  describe({ path, key }: RemoteRefOf<'vault'>): string {
    return `vault ${path} ${key}`;
  }

  async fetch(ref: RemoteRefOf<'vault'>, signal: AbortSignal): Promise<Fetched<string>> {
    const what = this.describe(ref);
    const response = await fetch(urlOf(what, this.#env.VAULT_ADDR, ref.path), {
      headers: headersOf(what, this.#env),
      // A redirect would take the token elsewhere.
      redirect: 'error',
      signal,
    });
    const text = await bodyOf(response);
    if (response.status !== 200) {
      throw new SecretFailure(kindOf(response.status), `${what}: Vault answers ${response.status}`);
    }
    const { data, metadata } = parse(what, text);
    return { value: textOf(what, data, ref.key), version: String(metadata.version) };
  }
}

/** `secret/orders/db`: the mount is what stands before the first slash. */
function urlOf(what: string, address: string | undefined, path: string): URL {
  const [mount, ...rest] = path.split('/');
  const base = URL.canParse(address ?? '') ? new URL(address as string) : undefined;
  if (base === undefined) throw new SecretFailure('denied', `${what}: VAULT_ADDR is no URL`);
  const isHere = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(base.hostname);
  if (base.protocol !== 'https:' && !isHere) {
    throw new SecretFailure('denied', `${what}: VAULT_ADDR must be https://`);
  }
  return new URL(`/v1/${mount}/data/${rest.map(encodeURIComponent).join('/')}`, base);
}

function headersOf(what: string, env: SecretSurroundings['env']): Record<string, string> {
  const { VAULT_TOKEN: token, VAULT_NAMESPACE: namespace } = env;
  if (!token) throw new SecretFailure('denied', `${what}: VAULT_TOKEN is not set`);
  return {
    'x-vault-token': token,
    'x-vault-request': 'true',
    ...(namespace && { 'x-vault-namespace': namespace }),
  };
}

function kindOf(status: number): FailureKind {
  if (status === 404) return 'missing';
  if (status === 401 || status === 403) return 'denied';
  return status === 429 ? 'throttled' : 'unavailable';
}

async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new SecretFailure('invalid', 'an answer of Vault is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

interface Answer {
  readonly data: object;
  readonly metadata: { readonly version: number };
}

function parse(what: string, text: string): Answer {
  const answer = jsonOf(text) as { data?: Partial<Answer> } | null | undefined;
  const { data, metadata } = answer?.data ?? {};
  if (typeof data === 'object' && data !== null && typeof metadata?.version === 'number') {
    return { data, metadata };
  }
  throw new SecretFailure('invalid', `${what}: Vault answers something else than a secret`);
}
