import type { Position } from '../core/diagnostic.ts';
import type { Permission } from '../core/permission.ts';

/** Whose form a published list has; `plain`: one network to a line. */
export type RangesProvider =
  | 'aws'
  | 'azure'
  | 'cloudflare'
  | 'fastly'
  | 'github'
  | 'google'
  | 'plain';

/** A set that follows a published list. */
export interface PublishedSetConfig {
  readonly provider: RangesProvider;
  readonly from:
    | { readonly kind: 'url'; readonly url: string }
    | { readonly kind: 'file'; readonly path: string };
  /** Empty: any. */
  readonly filters: Readonly<Record<RangesFilter, readonly string[]>>;
  readonly family: 4 | 6 | undefined;
  /** Not seen at its publisher for longer, the list is too old. */
  readonly maxAgeMs: number;
  /** What the gateway's own rules do then: go on by it, or let nobody pass by it. */
  readonly tooOld: 'keep' | 'close';
}

export type RangesFilter = 'service' | 'region' | 'borderGroup';

export interface RangesConfig {
  readonly fetch: FetchConfig;
  /** The part of a list that may go at once: 0.2. */
  readonly shrink: number;
  /** How the gateway itself follows the lists of its own rules. */
  readonly refresh: { readonly everyMs: number; readonly jitterMs: number };
  readonly watch: {
    readonly everyMs: number;
    readonly jitterMs: number;
    /** Beyond it, readiness fails. */
    readonly maxAgeMs: number;
    readonly bind: { readonly host: string; readonly port: number };
    /** Paths of PEM files. */
    readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  };
  /** The one topic whose messages are believed. */
  readonly sns: { readonly topic: string } | undefined;
  readonly targets: readonly RangesTargetConfig[];
}

export interface FetchConfig {
  /** Origin of an HTTP proxy. */
  readonly proxy: string | undefined;
  /** PEM; undefined: the system's. */
  readonly ca: string | undefined;
  readonly timeoutMs: number;
  /** Tries after the first. */
  readonly retries: number;
}

interface TargetBase {
  readonly name: string;
  readonly sets: readonly string[];
  readonly at: Position;
}

export interface AwsPlace {
  readonly region: string;
  readonly role: { readonly arn: string; readonly externalId: string | undefined } | undefined;
  readonly endpoint: string | undefined;
}

export interface SecurityGroupsConfig extends TargetBase {
  readonly kind: 'securityGroups';
  readonly groups: readonly string[];
  readonly permissions: readonly Permission[];
  /** Rules of one family that a group takes; undefined: as Service Quotas says. */
  readonly quota: number | undefined;
  readonly aws: AwsPlace;
}

export interface PrefixListsConfig extends TargetBase {
  readonly kind: 'prefixLists';
  readonly lists: readonly string[];
  /** What each list's MaxEntries shall be; undefined: as it is. */
  readonly maxEntries: number | undefined;
  readonly aws: AwsPlace;
}

export interface WafIpSetsConfig extends TargetBase {
  readonly kind: 'wafIpSets';
  readonly ipSets: readonly { readonly name: string; readonly id: string }[];
  readonly scope: 'REGIONAL' | 'CLOUDFRONT';
  readonly aws: AwsPlace;
}

export interface NftablesConfig extends TargetBase {
  readonly kind: 'nftables';
  readonly family: 'inet' | 'ip' | 'ip6';
  readonly table: string;
  /** The named sets for each family of addresses; at least one. */
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
}

export type FileFormatName = 'plain' | 'json' | 'nginx' | 'squid' | 'haproxy';

export interface FileTargetConfig extends TargetBase {
  readonly kind: 'file';
  readonly path: string;
  readonly format: FileFormatName;
  /** Program and arguments; run once the file is in place, before it is loaded. */
  readonly check: readonly string[] | undefined;
  readonly reload: readonly string[] | undefined;
}

export type RangesTargetConfig =
  | SecurityGroupsConfig
  | PrefixListsConfig
  | WafIpSetsConfig
  | NftablesConfig
  | FileTargetConfig;
