import { createHash } from 'node:crypto';
import type { AnySecretRef, CredentialConfig, CredentialKind } from '../config/config.ts';
import type { HeadChanges, InjectedRequest } from '../core/injection.ts';
import type { FoundIdentity } from '../secret/aws-identity.ts';
import type { Fetched, Lookup } from '../secret/cache.ts';
import { basicChanges } from './kinds/basic.ts';
import { fetchInstallationToken } from './kinds/github-app.ts';
import { headerChanges, setHeaders } from './kinds/header.ts';
import { hmacChanges } from './kinds/hmac.ts';
import { fetchOAuth2Token } from './kinds/oauth2.ts';
import { parameterStoreChanges, readParameters } from './kinds/parameter-store.ts';
import { pathChanges } from './kinds/path.ts';
import { queryChanges } from './kinds/query.ts';
import { sigv4Changes } from './kinds/sigv4.ts';
import { readValues, type SecretSources, type Values } from './values.ts';

/** A credential, ready to be put on requests for one destination. */
export interface Prepared {
  changes(request: InjectedRequest, now: number): HeadChanges | Promise<HeadChanges>;
  /** What must not come back. */
  readonly secrets: readonly string[];
  /** For the record: of the secrets that it is made of. */
  readonly version: string | undefined;
  /** The destination refused it. @returns whether the next one is made of secrets that are read anew */
  refuse(): boolean;
}

/** What credentials are made with. */
export interface CredentialSources extends SecretSources {
  /** What the SDK finds to sign with. @throws SecretFailure */
  identity(): Promise<FoundIdentity>;
  /** Milliseconds since the epoch. */
  now(): number;
}

type KindOf<Name extends CredentialKind['kind']> = Extract<CredentialKind, { kind: Name }>;

interface Preparation<Name extends CredentialKind['kind']> {
  readonly kind: KindOf<Name>;
  readonly config: CredentialConfig;
  /** `api.github.com`, and with a port that is not 443. */
  readonly authority: string;
  readonly sources: CredentialSources;
}

type Prepare<Name extends CredentialKind['kind']> = (of: Preparation<Name>) => Promise<Prepared>;

/** One entry for each kind. */
const PREPARE: { readonly [Name in CredentialKind['kind']]: Prepare<Name> } = {
  basic: async (of) => {
    const values = await read(of, [of.kind.password]);
    const changes = basicChanges(of.kind, values);
    const [, shown = ''] = changes.set[0]?.[1].split(' ') ?? [];
    return { ...values, secrets: [...values.secrets, shown], changes: () => changes };
  },
  header: async (of) => {
    const values = await read(
      of,
      of.kind.headers.flatMap(({ value }) => refsIn(value)),
    );
    const changes = headerChanges(of.kind, values);
    return { ...values, changes: () => changes };
  },
  query: async (of) => {
    const values = await read(
      of,
      of.kind.parameters.flatMap(({ value }) => refsIn(value)),
    );
    return { ...values, changes: (request) => queryChanges(of.kind, request, values) };
  },
  path: async (of) => {
    const values = await read(of, refsIn(of.kind.text));
    return { ...values, changes: (request) => pathChanges(of.kind, request, values) };
  },
  hmac: async (of) => {
    const values = await read(of, [of.kind.secret]);
    return { ...values, changes: (request, now) => hmacChanges(of.kind, request, values, now) };
  },
  sigv4: async (of) => {
    const { identity, version, refuse } = await readIdentity(of);
    return {
      changes: (request, now) => sigv4Changes(of.kind, request, identity, now),
      secrets: [identity.secretAccessKey, identity.sessionToken ?? ''],
      version,
      refuse,
    };
  },
  oauth2: (of) => bearer(of, of.kind.clientSecret, fetchOAuth2Token, 'knows'),
  githubApp: (of) => bearer(of, of.kind.privateKey, fetchInstallationToken, 'never sees'),
  parameterStore: async ({ kind, config, authority, sources }) => {
    const below = await sources.store.below(`${kind.prefix}/${authority}`, config.ttlMs);
    const parameters = readParameters(below.parameters);
    const { version, refuse } = below;
    const changes: Prepared['changes'] = (request) => parameterStoreChanges(parameters, request);
    return { changes, secrets: parameters.secrets, version, refuse };
  },
};

/** @throws SecretFailure */
export function prepare(
  config: CredentialConfig,
  authority: string,
  sources: CredentialSources,
): Promise<Prepared> {
  return prepareKind(config.kind.kind, config, authority, sources);
}

function prepareKind<Name extends CredentialKind['kind']>(
  name: Name,
  config: CredentialConfig,
  authority: string,
  sources: CredentialSources,
): Promise<Prepared> {
  return PREPARE[name]({ kind: config.kind as KindOf<Name>, config, authority, sources });
}

type AnyPreparation = Pick<Preparation<CredentialKind['kind']>, 'config' | 'sources'>;

function read({ config, sources }: AnyPreparation, refs: Parameters<typeof readValues>[0]) {
  return readValues(refs, sources, config.ttlMs);
}

function refsIn(text: Extract<CredentialKind, { kind: 'path' }>['text']) {
  return text.flatMap((part) => (typeof part === 'string' ? [] : [part]));
}

async function readIdentity(of: Preparation<'sigv4'>) {
  const written = of.kind.identity;
  if (written === undefined) {
    const { accessKeyId, secretAccessKey, sessionToken } = await of.sources.identity();
    const identity = { accessKeyId, secretAccessKey, sessionToken };
    return { identity, version: accessKeyId, refuse: () => false };
  }
  const { accessKeyId, secretAccessKey, sessionToken } = written;
  const refs = [
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? [] : [sessionToken]),
  ];
  const values = await read(of, refs);
  const identity = {
    accessKeyId: values.of(accessKeyId),
    secretAccessKey: values.of(secretAccessKey),
    sessionToken: sessionToken && values.of(sessionToken),
  };
  return { identity, version: identity.accessKeyId, refuse: values.refuse };
}

type FetchToken<Name extends CredentialKind['kind']> = (
  kind: KindOf<Name>,
  values: Values,
  around: { ca: string | undefined; signal: AbortSignal },
  now: number,
) => Promise<Fetched<string>>;

interface Issued {
  readonly token: string;
  /** What else must not come back of a destination that is its issuer, too. */
  readonly secrets: readonly string[];
}

/**
 * A token that is got for a secret, and kept until it ends.
 *
 * @param issuer whether it could tell the secret
 */
async function bearer<Name extends 'oauth2' | 'githubApp'>(
  of: Preparation<Name>,
  ref: AnySecretRef,
  fetchToken: FetchToken<Name>,
  issuer: 'knows' | 'never sees',
): Promise<Prepared> {
  const { config, sources } = of;
  const { kind } = config;
  const { cache } = sources.store;
  const lookup: Lookup<Issued> = {
    key: `${kind.kind} ${config.name} ${fingerprint(kind)}`,
    source: kind.kind,
    ttlMs: Number.POSITIVE_INFINITY,
    fetch: async (signal) => {
      const values = await read(of, [ref]);
      const around = { ca: config.ca, signal };
      const { value: token, ...rest } = await fetchToken(of.kind, values, around, sources.now());
      return { ...rest, value: { token, secrets: issuer === 'knows' ? values.secrets : [] } };
    },
  };
  const { value, version } = await cache.get(lookup);
  const changes = setHeaders([['Authorization', `Bearer ${value.token}`]]);
  return {
    changes: () => changes,
    secrets: [value.token, ...value.secrets],
    version,
    refuse: () => cache.refuse(lookup.key, version),
  };
}

/** A token of what a credential was before a reload must not serve what it is now. */
function fingerprint(kind: CredentialKind): string {
  return createHash('sha256').update(JSON.stringify(kind)).digest('hex').slice(0, 16);
}
