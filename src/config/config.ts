import type { Position } from '../core/diagnostic.ts';
import type { Hostname } from '../core/hostname.ts';
import type { Cidr, Ip } from '../core/ip.ts';
import type { NetworkList } from '../core/networks.ts';
import type { PublishedSetConfig, RangesConfig } from './ranges-config.ts';

export type { Position } from '../core/diagnostic.ts';

/**
 * The configuration as values: what `load` makes of the files, with every name resolved to a value, every unit to
 * milliseconds or bytes, and every path absolute. The language itself is in the schemas beside this file.
 */
export interface Config {
  readonly gateway: GatewayConfig;
  readonly networks: { readonly owned: readonly Cidr[] };
  readonly admin: { readonly bind: Bind; readonly token: SecretRef | undefined };
  readonly listeners: readonly ListenerConfig[];
  readonly principals: readonly PrincipalConfig[];
  /** Members as written: principals, templates, other groups' names, globs (`fn-*`). */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  readonly sets: ReadonlyMap<string, SetConfig>;
  readonly rules: readonly RuleConfig[];
  readonly enforcement: 'enforce' | 'report';
  readonly expect: readonly Expectation[];
  readonly exits: readonly ExitConfig[];
  readonly credentials: readonly CredentialConfig[];
  readonly intercept: InterceptConfig;
  readonly audit: AuditConfig;
  readonly traces: { readonly otlp: OtlpConfig | undefined };
  readonly ranges: RangesConfig;
}

/** `host` is an IP address to bind; port 0 lets the system pick one. */
export interface Bind {
  readonly host: string;
  readonly port: number;
}

/** Where a secret comes from. It is read when the gateway starts, never by `load`. */
export type SecretRef = RefBase &
  (
    | { readonly from: 'env'; readonly variable: string }
    | { readonly from: 'file'; readonly path: string }
    | { readonly from: 'literal'; readonly value: string }
  );

/** Where a secret is kept that changes while the gateway runs. It is read when it is needed, and kept for a while. */
export type RemoteSecretRef = RefBase &
  (
    | { readonly from: 'ssm'; readonly name: string }
    /** `key`: of a secret that is a JSON map. */
    | { readonly from: 'secretsManager'; readonly id: string; readonly key: string | undefined }
    | { readonly from: 'vault'; readonly path: string; readonly key: string }
  );

interface RefBase {
  readonly at: Position;
  /** Whether line breaks belong to it: a key in PEM. */
  readonly multiline?: boolean;
}

export type AnySecretRef = SecretRef | RemoteSecretRef;

/** Text around secrets: `token `, and the token. */
export type SecretText = readonly (string | AnySecretRef)[];

export interface GatewayConfig {
  readonly name: string;
  readonly contact: string | undefined;
  readonly workers: number | 'auto';
  readonly dataDir: string;
  readonly health: Bind | undefined;
  readonly drain: { readonly noticeMs: number; readonly limitMs: number };
  /** What the gateway's own log shows: this level and all that are worse. */
  readonly log: 'error' | 'warn' | 'info' | 'debug';
  /** What becomes of tunnels that a new policy no longer allows. */
  readonly onReload: 'close' | 'keep';
  /** Empty: /etc/resolv.conf. */
  readonly resolvers: readonly { readonly ip: Ip; readonly port: number }[];
}

export interface ListenerConfig {
  readonly name: string;
  readonly type: 'forward-proxy';
  readonly bind: readonly Bind[];
  /** Peers that may connect at all; undefined: any. */
  readonly from: NetworkList | undefined;
  /** Peers that must send a PROXY header; from all others it is refused. */
  readonly proxyProtocol: { readonly from: NetworkList } | undefined;
  /** The proxy itself over TLS: paths of PEM files. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  readonly timeouts: {
    readonly headMs: number;
    readonly connectMs: number;
    readonly idleMs: number;
  };
  readonly limits: {
    readonly connections: number;
    readonly perClient: number;
    readonly headBytes: number;
  };
  readonly at: Position;
}

export interface PrincipalConfig {
  /** With `{name}` in it: a template. */
  readonly name: string;
  readonly owner: string | undefined;
  readonly report: boolean;
  /** Alternatives. */
  readonly identify: readonly IdentifyConfig[];
  readonly at: Position;
}

/** Keys that are present must all hold. */
export interface IdentifyConfig {
  readonly header?: { readonly name: string; readonly values: readonly SecretRef[] };
  readonly basic?: { readonly username: string; readonly password: SecretRef };
  readonly bearer?: { readonly token: SecretRef };
  readonly clientAddress?: NetworkList;
  readonly at: Position;
}

export interface SetConfig {
  /** Host patterns and networks; never a set or `*`. */
  readonly entries: readonly (HostPattern | NetworkPattern)[];
  /** Where its networks are published. `load` knows none of them: its entries are filled in from the list. */
  readonly published?: PublishedSetConfig;
  /** Of what its entries were taken; undefined: nothing is known of the list yet. */
  readonly list?: ListState;
  /** The list is too old to let anybody pass by it. */
  readonly closed?: boolean;
  readonly at: Position;
}

/** A published list, as it was last seen. */
export interface ListState {
  /** Its version as its publisher counts. */
  readonly token: string | undefined;
  /** When it was last found to be what its publisher has, in milliseconds since the epoch. */
  readonly seenMs: number;
  /** SHA-256 of what a set takes of it: its networks in order, one to a line. */
  readonly sha256: string;
}

export type HostPattern =
  | { readonly kind: 'host'; readonly host: Hostname }
  /** `.example.com`: apex and below; `*.example.com`: below only. */
  | { readonly kind: 'suffix'; readonly suffix: Hostname; readonly apex: boolean };
export type NetworkPattern = { readonly kind: 'network'; readonly cidr: Cidr };
export type DestinationPattern =
  | HostPattern
  | NetworkPattern
  | { readonly kind: 'set'; readonly set: string }
  | { readonly kind: 'any' };

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

interface RuleBase {
  readonly name: string;
  readonly to: readonly DestinationPattern[];
  /** undefined: the effect's default. */
  readonly ports: readonly PortRange[] | undefined;
  readonly methods: readonly string[] | undefined;
  /** Globs: `*` within a segment, `**` across segments. */
  readonly paths: readonly string[] | undefined;
  /** The end of its last day, in milliseconds since the epoch, UTC. */
  readonly expiresMs: number | undefined;
  readonly owner: string | undefined;
  readonly at: Position;
}

export interface AllowRule extends RuleBase {
  readonly effect: 'allow';
  /** Principals, templates, groups, `*` (any identified principal), `anonymous` (nobody identified). */
  readonly principals: readonly string[];
  readonly addresses: NetworkList | undefined;
  readonly tls: 'required' | 'off';
  readonly via: string | undefined;
  /** The credential that requests take on. */
  readonly with: string | undefined;
  /** Whether the TLS inside its tunnels is opened. */
  readonly intercept: boolean;
}

export interface DenyRule extends RuleBase {
  readonly effect: 'deny';
  /** As in an allow; `*` is everyone, identified or not. */
  readonly principals: readonly string[];
  readonly except: readonly string[];
  readonly report: boolean;
}

export type RuleConfig = AllowRule | DenyRule;

export interface Expectation {
  readonly principal: string;
  /** `host:port` as written. */
  readonly to: string;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly decision: 'allow' | 'deny';
  readonly at: Position;
}

/** A way out: from addresses of this host, or through another proxy. */
export type ExitConfig = LocalExit | ParentExit;

interface ExitBase {
  readonly name: string;
  /** What the world sees, for all gateways; for documentation and `exits verify`. */
  readonly public: readonly Ip[];
  readonly at: Position;
}

export interface LocalExit extends ExitBase {
  readonly kind: 'local';
  /** At most one of each family; never empty. */
  readonly localAddresses: readonly Ip[];
}

export interface ParentExit extends ExitBase {
  readonly kind: 'parent';
  readonly parent: ParentProxyConfig;
}

export interface ParentProxyConfig {
  readonly host: Hostname | Ip;
  readonly port: number;
  /** Undefined: plain HTTP. `ca`: PEM; undefined: the system's. */
  readonly tls: { readonly ca: string | undefined } | undefined;
  readonly credential: string | undefined;
  /** Who looks destinations up: the gateway, which then decides on their addresses, or the parent. */
  readonly resolve: 'local' | 'parent';
}

/** What the gateway shows to one destination, and to no other. */
export interface CredentialConfig {
  readonly name: string;
  /** undefined: to the host that the convention keeps parameters for. */
  readonly for: CredentialReceiver | undefined;
  readonly kind: CredentialKind;
  /** PEM of the only CAs that vouch for the destination; undefined: the system's. */
  readonly ca: string | undefined;
  /** What becomes of a response that cannot be read: it passes, or is refused. */
  readonly redact: 'readable' | 'strict';
  /** How long what was read of a secret is used. */
  readonly ttlMs: number;
  /** The end of its last day, in milliseconds since the epoch, UTC: when it is known to end elsewhere. */
  readonly expiresMs: number | undefined;
  readonly at: Position;
}

export type CredentialReceiver = HostPattern | { readonly kind: 'address'; readonly ip: Ip };

/** How a credential is put on a request. */
export type CredentialKind =
  | BasicCredential
  | HeaderCredential
  | QueryCredential
  | PathCredential
  | SigV4Credential
  | OAuth2Credential
  | GitHubAppCredential
  | HmacCredential
  | ParameterStoreCredential;

export interface BasicCredential {
  readonly kind: 'basic';
  readonly username: string;
  readonly password: AnySecretRef;
}

export interface HeaderCredential {
  readonly kind: 'header';
  readonly headers: readonly NamedSecretText[];
}

export interface QueryCredential {
  readonly kind: 'query';
  readonly parameters: readonly NamedSecretText[];
}

export interface NamedSecretText {
  readonly name: string;
  readonly value: SecretText;
}

export interface PathCredential {
  readonly kind: 'path';
  /** Begins with a slash; `{path}` in it stands for the request's own path. */
  readonly text: SecretText;
}

export interface SigV4Credential {
  readonly kind: 'sigv4';
  readonly service: string;
  readonly region: string;
  /** undefined: what the SDK finds. */
  readonly identity:
    | {
        readonly accessKeyId: AnySecretRef;
        readonly secretAccessKey: AnySecretRef;
        readonly sessionToken: AnySecretRef | undefined;
      }
    | undefined;
  readonly maxBodyBytes: number;
}

export interface OAuth2Credential {
  readonly kind: 'oauth2';
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: AnySecretRef;
  readonly scope: readonly string[];
  readonly audience: string | undefined;
  readonly authenticate: 'basic' | 'body';
}

export interface GitHubAppCredential {
  readonly kind: 'githubApp';
  readonly appId: string;
  readonly installationId: string;
  readonly privateKey: AnySecretRef;
  /** Of GitHub's API, with a slash at its end or none. */
  readonly api: string;
}

export interface HmacCredential {
  readonly kind: 'hmac';
  readonly secret: AnySecretRef;
  readonly algorithm: 'sha256' | 'sha512' | 'sha1';
  readonly encoding: 'hex' | 'base64';
  /** What is signed, with placeholders such as `{method}`. */
  readonly sign: string;
  /** Where the signature goes: `sha256={signature}`. */
  readonly headers: readonly { readonly name: string; readonly template: string }[];
  readonly maxBodyBytes: number;
}

export interface ParameterStoreCredential {
  readonly kind: 'parameterStore';
  /** Without a slash at its end; may be empty. */
  readonly prefix: string;
}

/** How the TLS inside tunnels is opened. */
export interface InterceptConfig {
  /** The CA that vouches for the gateway to its clients; undefined: one of its own, in the data directory. */
  readonly ca: { readonly certificate: string; readonly key: SecretRef } | undefined;
  /** PEM of CAs besides the system's that vouch for destinations. */
  readonly alsoTrust: string | undefined;
}

export interface AuditConfig {
  readonly durability: 'write' | 'fsync';
  readonly onFailure: 'deny' | 'allow';
  readonly keepMs: number;
  readonly checkpoint: CheckpointConfig | undefined;
  readonly also: readonly { readonly squidLog: string }[];
}

/** Where spans go, over OTLP. */
export interface OtlpConfig {
  /** With its whole path. */
  readonly url: string;
  /** By their names in lower case. Text where nothing about it is secret. */
  readonly headers: ReadonlyMap<string, string | SecretRef>;
  /** The part of the exchanges that get a span, among those whose client has not decided that. */
  readonly ratio: number;
}

export interface CheckpointConfig {
  readonly everyMs: number;
  /** The path of an Ed25519 private key in PEM. */
  readonly key: string;
  readonly copyTo: string | undefined;
}
