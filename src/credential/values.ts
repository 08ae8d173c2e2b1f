import type { AnySecretRef, RemoteSecretRef, SecretRef, SecretText } from '../config/config.ts';
import type { Secret } from '../core/secret.ts';
import { SecretFailure } from '../secret/failure.ts';
import type { SecretStore } from '../secret/store.ts';

/** Where credentials get their secrets. */
export interface SecretSources {
  readonly store: SecretStore;
  /** What was read at start. */
  held(ref: SecretRef): Secret;
}

/** The secrets of one credential, as they are now. */
export interface Values {
  of(ref: AnySecretRef): string;
  text(text: SecretText): string;
  readonly secrets: readonly string[];
  readonly version: string | undefined;
  refuse(): boolean;
}

/** @throws SecretFailure */
export async function readValues(
  refs: readonly AnySecretRef[],
  { store, held }: SecretSources,
  ttlMs: number,
): Promise<Values> {
  const known = new Map<AnySecretRef, string>();
  const versions: string[] = [];
  const refusals: (() => boolean)[] = [];
  for (const ref of refs) {
    if (!isRemote(ref)) {
      known.set(ref, held(ref).reveal());
      continue;
    }
    const { secret, version, refuse } = await store.current(ref, ttlMs);
    known.set(ref, secret.reveal());
    if (version !== undefined) versions.push(version);
    refusals.push(refuse);
  }
  const of = (ref: AnySecretRef) => known.get(ref) as string;
  return {
    of,
    text: (text) => text.map((part) => (typeof part === 'string' ? part : of(part))).join(''),
    secrets: [...known.values()],
    version: versions.length === 0 ? undefined : versions.join(),
    // All of them: none is left out because another one was found to be new.
    refuse: () => refusals.map((refuse) => refuse()).some(Boolean),
  };
}

function isRemote(ref: AnySecretRef): ref is RemoteSecretRef {
  return ref.from === 'ssm' || ref.from === 'secretsManager' || ref.from === 'vault';
}

// What a field may hold (RFC 9110 5.5), one byte to a character.
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]|^[\t ]|[\t ]$/;

/** @throws SecretFailure `invalid` for what would end the header or not arrive as it is */
export function headerValue(name: string, value: string): string {
  if (!UNSENDABLE.test(value)) return value;
  throw new SecretFailure('invalid', `the value for ${name} cannot stand in a header`);
}
