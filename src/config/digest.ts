import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import { compareText } from '../core/diagnostic.ts';
import type {
  AnySecretRef,
  Config,
  CredentialKind,
  ExitConfig,
  IdentifyConfig,
  SecretRef,
  SetConfig,
} from './config.ts';
import { credentialRefs } from './credential-refs.ts';

/**
 * `sha256:…` over what decides who may reach what. Gateways with one policy agree on it: the order of keys, rules and
 * files, comments, the gateway's own settings and addresses are left out, and so is every secret's value.
 *
 * @param folder absolute; paths of secrets count as seen from it
 */
export function digestPolicy(config: Config, folder: string): string {
  const policy = {
    networks: config.networks,
    listeners: byName(config.listeners).map(({ name, type, from, proxyProtocol }) => ({
      name,
      type,
      from,
      proxyProtocol,
    })),
    principals: byName(config.principals).map(({ at, identify, ...principal }) => ({
      ...principal,
      identify: identify.map((entry) => digestible(entry, folder)),
    })),
    groups: Object.fromEntries(config.groups),
    sets: Object.fromEntries([...config.sets].map(([name, set]) => [name, contents(set, folder)])),
    rules: byName(config.rules).map(({ at, ...rule }) => rule),
    enforcement: config.enforcement,
    exits: byName(config.exits).map(wayOut),
    alsoTrust: config.intercept.alsoTrust,
    credentials: byName(config.credentials).map(({ at, kind, ...credential }) => ({
      ...credential,
      kind: withSources(kind, folder),
    })),
  };
  return `sha256:${createHash('sha256').update(canonicalJson(policy)).digest('hex')}`;
}

function byName<Named extends { readonly name: string }>(list: readonly Named[]): Named[] {
  return [...list].sort((a, b) => compareText(a.name, b.name));
}

/** Where a set follows a list: which one, and not what that has at the moment, which is another thing on every gateway. */
function contents({ entries, published }: SetConfig, folder: string): unknown {
  if (published === undefined)
    return entries.map((entry) => canonicalJson(entry)).sort(compareText);
  const { from } = published;
  return from.kind === 'url'
    ? published
    : { ...published, from: { file: relative(folder, from.path).replaceAll('\\', '/') } };
}

/** Gateways differ in their local addresses; a parent proxy is one for all of them. */
function wayOut(exit: ExitConfig) {
  return {
    name: exit.name,
    public: exit.public,
    ...(exit.kind === 'parent' && { parent: exit.parent }),
  };
}

function digestible({ header, basic, bearer, clientAddress }: IdentifyConfig, folder: string) {
  const source = (ref: SecretRef) => sourceOf(ref, folder);
  return {
    header: header && { name: header.name, values: header.values.map(source) },
    basic: basic && { username: basic.username, password: source(basic.password) },
    bearer: bearer && { token: source(bearer.token) },
    clientAddress,
  };
}

/** With the place of each secret in place of its reference. */
function withSources(kind: CredentialKind, folder: string): unknown {
  const refs = new Set<unknown>(credentialRefs(kind));
  const replace = (value: unknown): unknown => {
    if (refs.has(value)) return sourceOf(value as AnySecretRef, folder);
    if (Array.isArray(value)) return value.map(replace);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replace(one)]));
  };
  return replace(kind);
}

function sourceOf(ref: AnySecretRef, folder: string): Record<string, string | undefined> {
  if (ref.from === 'ssm') return { ssm: ref.name };
  if (ref.from === 'secretsManager') return { secretsManager: ref.id, key: ref.key };
  if (ref.from === 'vault') return { vault: ref.path, key: ref.key };
  if (ref.from === 'env') return { env: ref.variable };
  if (ref.from === 'file') return { file: relative(folder, ref.path).replaceAll('\\', '/') };
  return { literal: '' };
}

/** JSON with the keys of every map in order and without absent ones, as RFC 8785 has it. */
function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  // Values such as host names and networks say themselves how they are written.
  if ('toJSON' in value && typeof value.toJSON === 'function') return canonicalJson(value.toJSON());
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  entries.sort(([a], [b]) => compareText(a, b));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`;
}
