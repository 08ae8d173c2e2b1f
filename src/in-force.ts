import type { Authority } from './authority/authority.ts';
import { findAuthority } from './authority/find.ts';
import type { Config, CredentialConfig, ListenerConfig, SecretRef } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { publishedInUse } from './config/published-uses.ts';
import { secretRefs } from './config/secret-refs.ts';
import { PublishedNetworks } from './core/networks.ts';
import type { Secret } from './core/secret.ts';
import { finish, type Work } from './core/work.ts';
import { compileIdentity, type Identifier } from './identity/identify.ts';
import { PeerRules } from './listener/forward-proxy/peer-rules.ts';
import { compiling, type Policy } from './policy/policy.ts';
import { readSecrets } from './secret/read.ts';
import type { SecretSurroundings } from './secret/source.ts';
import { compileExits } from './upstream/exits.ts';
import type { WayOut } from './upstream/way-out.ts';

/** All that an exchange is decided by. A reload puts another one in its place as a whole, between two exchanges. */
export interface InForce {
  readonly config: Config;
  /** Of the policy in it. */
  readonly digest: string;
  readonly identifier: Identifier;
  readonly policy: Policy;
  /** Whom a refused developer asks when neither rule nor principal names anybody. */
  readonly contact: string | undefined;
  readonly exits: ReadonlyMap<string, WayOut>;
  readonly credentials: ReadonlyMap<string, CredentialConfig>;
  /** Present where a rule says `intercept`. */
  readonly authority: Authority | undefined;
  readonly listeners: ReadonlyMap<string, ListenerConfig>;
  /** By the names of listeners. */
  readonly peers: ReadonlyMap<string, PeerRules>;
  /** Lower-case names of headers that principals are, or were before a reload, recognised by. */
  readonly identityHeaders: ReadonlySet<string>;
  readonly secret: (ref: SecretRef) => Secret;
}

/** As `puttingTogether`, in one go. */
export function putTogether(...parts: Parameters<typeof puttingTogether>): InForce {
  return finish(puttingTogether(...parts));
}

/**
 * @param before headers that identified before: clients that still send one would hand it to their destinations
 * @throws ConfigError naming every secret that cannot be read
 * @throws SekishoError `intercept-ca-invalid`
 */
export function* puttingTogether(
  { config, digest }: Pick<Loaded, 'config' | 'digest'>,
  surroundings: SecretSurroundings,
  before: ReadonlySet<string> = new Set(),
): Work<InForce> {
  const secrets = readSecrets(secretRefs(config), surroundings);
  const secret = (ref: SecretRef) => secrets.get(ref) as Secret;
  yield;
  requireLists(config);
  const networks = yield* PublishedNetworks.making(config.sets);
  const identifier = compileIdentity(config.principals, secret, networks);
  yield;
  return {
    config,
    digest,
    secret,
    identifier,
    identityHeaders: new Set([...before, ...identifier.headerNames]),
    credentials: new Map(config.credentials.map((credential) => [credential.name, credential])),
    listeners: new Map(config.listeners.map((listener) => [listener.name, listener])),
    peers: new Map(config.listeners.map((one) => [one.name, new PeerRules(one, networks)])),
    authority: findAuthority(config, secret, surroundings),
    policy: yield* compiling(config, networks),
    contact: config.gateway.contact,
    exits: compileExits(config.exits, config.credentials, secret),
  };
}

/** A set of which nothing is known must never be taken for an empty one: a deny by it would open all that it denies. */
function requireLists(config: Config): void {
  const unknown = publishedInUse(config).find((name) => config.sets.get(name)?.list === undefined);
  if (unknown !== undefined) throw new TypeError(`the list of the set ${unknown} was not read`);
}
