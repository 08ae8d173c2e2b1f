import type {
  AllowRule,
  DenyRule,
  DestinationPattern,
  ExitConfig,
  ParentExit,
  PrincipalConfig,
  RuleConfig,
  SetConfig,
} from '../../src/config/config.ts';
import type { PublishedSetConfig } from '../../src/config/ranges-config.ts';
import { type Destination, parseAuthority } from '../../src/core/destination.ts';
import { Hostname } from '../../src/core/hostname.ts';
import { Cidr, Ip } from '../../src/core/ip.ts';
import type { Principal } from '../../src/core/principal.ts';
import type { OwnAddresses } from '../../src/policy/address.ts';
import type { PolicyConfig, Question } from '../../src/policy/policy.ts';

/** Policies and questions as short texts, for tables. */

export const at = { file: 'sekisho.yaml', line: 1, column: 1 };
export const NOW = Date.UTC(2027, 0, 15);

/** `*`, a host, `.suffix`, `*.suffix`, an address, a network, or a set: an undotted word. */
export function pattern(text: string): DestinationPattern {
  const cidr = Cidr.parse(text);
  if (cidr !== undefined) return { kind: 'network', cidr };
  if (text === '*') return { kind: 'any' };
  if (text.startsWith('.'))
    return { kind: 'suffix', suffix: Hostname.parseWritten(text.slice(1)), apex: true };
  if (text.startsWith('*.'))
    return { kind: 'suffix', suffix: Hostname.parseWritten(text.slice(2)), apex: false };
  if (!text.includes('.')) return { kind: 'set', set: text };
  return { kind: 'host', host: Hostname.parseWritten(text) };
}

interface WrittenRule {
  readonly name?: string;
  readonly to?: readonly string[];
  readonly ports?: readonly (number | readonly [number, number])[];
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
  readonly expiresMs?: number;
  readonly owner?: string;
}

interface WrittenAllow extends WrittenRule {
  readonly allow?: readonly string[];
  readonly addresses?: readonly string[];
  readonly tls?: 'required' | 'off';
  readonly via?: string;
  readonly with?: string;
  readonly intercept?: boolean;
}

interface WrittenDeny extends WrittenRule {
  readonly deny?: readonly string[];
  readonly except?: readonly string[];
  readonly report?: boolean;
}

export function allow(written: WrittenAllow): AllowRule {
  return {
    ...base(written, 'allowing'),
    effect: 'allow',
    principals: written.allow ?? ['*'],
    addresses: written.addresses?.map((text) => (/^\w+$/.test(text) ? text : network(text))),
    tls: written.tls ?? 'required',
    via: written.via,
    with: written.with,
    intercept: written.intercept ?? false,
  };
}

export function deny(written: WrittenDeny): DenyRule {
  return {
    ...base(written, 'denying'),
    effect: 'deny',
    principals: written.deny ?? ['*'],
    except: written.except ?? [],
    report: written.report ?? false,
  };
}

function base(written: WrittenRule, name: string) {
  return {
    name: written.name ?? name,
    to: (written.to ?? ['*']).map(pattern),
    ports: written.ports?.map((port) =>
      typeof port === 'number' ? { first: port, last: port } : { first: port[0], last: port[1] },
    ),
    methods: written.methods,
    paths: written.paths,
    expiresMs: written.expiresMs,
    owner: written.owner,
    at,
  };
}

export function network(text: string): Cidr {
  const cidr = Cidr.parse(text);
  if (cidr === undefined) throw new TypeError(`not a network: ${text}`);
  return cidr;
}

export function address(text: string): Ip {
  const ip = Ip.parse(text);
  if (ip === undefined) throw new TypeError(`not an address: ${text}`);
  return ip;
}

interface WrittenPolicy {
  readonly principals?: readonly (string | Partial<PrincipalConfig>)[];
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  readonly sets?: Readonly<Record<string, readonly string[]>>;
  readonly enforcement?: 'enforce' | 'report';
  readonly exits?: readonly ExitConfig[];
}

export function policyConfig(
  rules: readonly RuleConfig[],
  written: WrittenPolicy = {},
): PolicyConfig {
  const principals = (written.principals ?? ['p', 'q']).map((principal): PrincipalConfig => {
    const given = typeof principal === 'string' ? { name: principal } : principal;
    return { name: 'p', owner: undefined, report: false, identify: [], at, ...given };
  });
  const sets = Object.entries(written.sets ?? {}).map(
    ([name, texts]) => [name, { entries: texts.map(setEntry), at }] as const,
  );
  return {
    principals,
    groups: new Map(Object.entries(written.groups ?? {})),
    sets: new Map(sets),
    rules,
    enforcement: written.enforcement ?? 'enforce',
    exits: written.exits ?? [],
  };
}

/** A set that follows a published list. */
export function publishedSet(networks: readonly string[], closed = false): SetConfig {
  const published: PublishedSetConfig = {
    provider: 'plain',
    from: { kind: 'file', path: '/list' },
    filters: { service: [], region: [], borderGroup: [] },
    family: undefined,
    maxAgeMs: 60_000,
    tooOld: 'close',
  };
  const list = { token: undefined, seenMs: NOW, sha256: networks.join() };
  return { entries: networks.map(setEntry), published, list, closed, at };
}

function setEntry(text: string) {
  const entry = pattern(text);
  if (entry.kind === 'set' || entry.kind === 'any') throw new TypeError(`not for a set: ${text}`);
  return entry;
}

/** An exit through `http://NAME.example:3128`. */
export function parentExit(name: string, resolve: 'local' | 'parent'): ParentExit {
  const host = Hostname.parse(`${name}.example`);
  const parent = { host, port: 3128, tls: undefined, credential: undefined, resolve };
  return { name, kind: 'parent', parent, public: [], at };
}

export function principal(name: string, template?: string): Principal {
  return { name, method: 'header', ...(template === undefined ? {} : { template }) };
}

interface WrittenQuestion {
  /** `host:port`; without a port, the scheme's own. */
  readonly to: string;
  /** A name; null: nobody identified. */
  readonly by?: string | Principal | null;
  readonly scheme?: Destination['scheme'];
  /** `GET /path` */
  readonly request?: string;
  readonly now?: number;
}

export function question(written: WrittenQuestion): Question {
  const by = written.by === undefined ? 'p' : written.by;
  const [method = '', path = ''] = written.request?.split(' ') ?? [];
  return {
    principal: typeof by === 'string' ? principal(by) : (by ?? undefined),
    destination: destination(written.to, written.scheme ?? 'tunnel'),
    request: written.request === undefined ? undefined : { method, path },
    now: written.now ?? NOW,
  };
}

export function destination(text: string, scheme: Destination['scheme']): Destination {
  const unbracketed = Ip.parse(text);
  const { host, port } = unbracketed
    ? { host: unbracketed, port: undefined }
    : parseAuthority(text);
  return { scheme, host, port: port ?? (scheme === 'http' ? 80 : 443) };
}

export { nothingOwn } from '../../src/policy/address.ts';

export function owning(ips: readonly string[], listeners: readonly string[] = []): OwnAddresses {
  return {
    isOwn: (ip) => ips.includes(ip.text),
    isListener: (ip, port) => listeners.includes(`${ip.bracketed}:${port}`),
  };
}
