import type { AllowRule, DenyRule, PortRange, RuleConfig } from '../config/config.ts';
import type { ParentHop, Settings } from '../core/decision.ts';
import { type Destination, overTls } from '../core/destination.ts';
import type { ListedNetworks, PublishedNetworks } from '../core/networks.ts';
import { compilePath, type PathPattern, plainPath } from './path.ts';
import type { Question } from './question.ts';
import type { Subject, Subjects } from './subjects.ts';

/** What a decision reads stands in one object: each further one may be a wait for memory. */
interface CompiledBase {
  readonly name: string;
  readonly owner: string | undefined;
  readonly ports: readonly PortRange[] | undefined;
  readonly expiresMs: number | undefined;
  readonly methods: ReadonlySet<string> | undefined;
  readonly paths: readonly PathPattern[] | undefined;
  /** Speaks of methods or paths, or adds a credential: needs a request that can be read. */
  readonly conditional: boolean;
  /** The keys that the rule is filed under. */
  readonly subjects: readonly string[];
}

export interface CompiledAllow extends CompiledBase {
  readonly config: AllowRule;
  readonly settings: Settings;
  /** What it permits to dial; undefined: what is public. */
  readonly addresses: ListedNetworks | undefined;
  /** Equal for rules that pass an exchange in the same way. */
  readonly signature: string;
}

export interface CompiledDeny extends CompiledBase {
  readonly config: DenyRule;
  readonly report: boolean;
  readonly except: readonly string[];
}

export type CompiledRule = CompiledAllow | CompiledDeny;

/** By the names of their exits. */
export type Parents = ReadonlyMap<string, ParentHop>;

/** The sets that a rule names. */
export function setsOf(rule: RuleConfig): string[] {
  const listed = rule.effect === 'allow' ? (rule.addresses ?? []) : [];
  return [
    ...rule.to.flatMap((pattern) => (pattern.kind === 'set' ? [pattern.set] : [])),
    ...listed.filter((one) => typeof one === 'string'),
  ];
}

/** What the allow rules of one policy are compiled by. */
export interface AllowTerms {
  readonly subjects: Subjects;
  readonly parents: Parents;
  readonly networks: PublishedNetworks;
}

export function compileAllow(
  config: AllowRule,
  { subjects, parents, networks }: AllowTerms,
): CompiledAllow {
  const { name, owner, ports, expiresMs, methods, paths } = config;
  const { via, tls, addresses, with: credential, intercept } = config;
  // Written out, first what every decision reads: V8 keeps it side by side, where a spread object would be in two pieces.
  return {
    subjects: subjects.keysOf(config.principals, 'identified'),
    expiresMs,
    ports,
    conditional: methods !== undefined || paths !== undefined || credential !== undefined,
    settings: {
      via,
      parent: via === undefined ? via : parents.get(via),
      tls,
      credential,
      intercept,
    },
    name,
    owner,
    methods: methods && new Set(methods),
    paths: paths?.map(compilePath),
    config,
    addresses: addresses && networks.of(addresses),
    signature: `${tls}\n${intercept}\n${via ?? ''}\n${credential ?? ''}\n${addresses?.map(String).sort().join() ?? 'public'}`,
  };
}

/** The same rule without what it lists only by sets that are closed. */
export function withoutClosed(rule: CompiledAllow): CompiledAllow {
  const { addresses } = rule;
  if (addresses === undefined) return rule;
  return { ...rule, addresses: { ...addresses, published: addresses.open } };
}

export function compileDeny(config: DenyRule, subjects: Subjects): CompiledDeny {
  const { name, owner, ports, expiresMs, methods, paths, report, except } = config;
  return {
    subjects: subjects.keysOf(config.principals, 'everyone'),
    expiresMs,
    ports,
    conditional: methods !== undefined || paths !== undefined,
    except: subjects.keysOf(except, 'identified'),
    report,
    name,
    owner,
    // Some servers read `post` as POST: a deny holds for both.
    methods: methods && new Set(methods.map((method) => method.toUpperCase())),
    paths: paths?.map(compilePath),
    config,
  };
}

/** A question while it is being decided. */
export class Asked {
  readonly question: Question;
  readonly subject: Subject;
  #path: string | undefined;
  #pathRead = false;

  constructor(question: Question, subject: Subject) {
    this.question = question;
    this.subject = subject;
  }

  /** The request's path in the form that patterns match, or undefined when it is unclear which one it is. */
  get path(): string | undefined {
    if (!this.#pathRead) {
      this.#pathRead = true;
      this.#path = this.question.request && plainPath(this.question.request.path);
    }
    return this.#path;
  }
}

/** Why a rule that is for this caller and host does not match. The last two: nothing else was in the way. */
export type Miss =
  | 'expired'
  | 'except'
  | 'port'
  | 'method'
  | 'path'
  | 'unreadable'
  | 'unclear-path';

/**
 * Whether a rule that is for this caller and host matches, and how specifically: longer path patterns before shorter
 * ones, then fewer methods before more.
 */
export function matchAllow(rule: CompiledAllow, asked: Asked): number | Miss {
  const { destination, request, now } = asked.question;
  if (expired(rule, now)) return 'expired';
  if (!allowsPort(rule, destination)) return 'port';
  if (!rule.conditional) return 0;
  if (request === undefined) {
    return isReadLater(rule, destination) ? mostSpecific(rule) : 'unreadable';
  }
  if (rule.methods !== undefined && !rule.methods.has(request.method)) return 'method';
  if (rule.paths === undefined) return conditionRank(0, rule.methods);
  if (asked.path === undefined) return 'unclear-path';
  const length = longestMatch(rule.paths, asked.path);
  return length < 0 ? 'path' : conditionRank(length, rule.methods);
}

/** As `matchAllow`; an unclear path matches every pattern, so that no spelling of a path evades a deny. */
export function matchDeny(rule: CompiledDeny, asked: Asked): number | Miss {
  const { destination, request, now } = asked.question;
  if (expired(rule, now)) return 'expired';
  if (rule.except.some((key) => asked.subject.set.has(key))) return 'except';
  if (!inRanges(rule.ports, destination.port)) return 'port';
  if (!rule.conditional) return 0;
  if (request === undefined) return 'unreadable';
  if (rule.methods !== undefined && !rule.methods.has(request.method.toUpperCase()))
    return 'method';
  if (rule.paths === undefined || asked.path === undefined) return mostSpecific(rule);
  const length = longestMatch(rule.paths, asked.path);
  return length < 0 ? 'path' : conditionRank(length, rule.methods);
}

export function expired(rule: Pick<RuleConfig, 'expiresMs'>, now: number): boolean {
  return rule.expiresMs !== undefined && now > rule.expiresMs;
}

/**
 * Without `ports`: 443, and 80 for plain HTTP. A tunnel to port 80 carries plain HTTP that is read, unless the rule lets
 * raw bytes pass.
 */
function allowsPort(rule: CompiledAllow, asked: Destination): boolean {
  const { scheme, port } = goesOn(rule, asked);
  if (rule.ports !== undefined) return inRanges(rule.ports, port);
  return port === 443 || (port === 80 && (scheme === 'http' || rule.settings.tls !== 'off'));
}

/** What a credential is put on goes on over TLS. */
function goesOn({ settings }: CompiledAllow, asked: Destination): Destination {
  return settings.credential !== undefined && asked.scheme === 'http' ? overTls(asked) : asked;
}

function inRanges(ranges: readonly PortRange[] | undefined, port: number): boolean {
  return ranges === undefined || ranges.some(({ first, last }) => first <= port && port <= last);
}

/** A tunnel whose inner requests are read and decided again, each with its own method and path. */
function isReadLater({ settings }: CompiledAllow, { scheme, port }: Destination): boolean {
  return scheme === 'tunnel' && readsInside(settings, port);
}

/** Whether the requests inside a tunnel to a port are read: those in clear, and those whose TLS is opened. */
export function readsInside({ tls, intercept }: Settings, port: number): boolean {
  return port === 80 ? tls !== 'off' : intercept;
}

function longestMatch(patterns: readonly PathPattern[], path: string): number {
  let longest = -1;
  for (const pattern of patterns) {
    if (pattern.text.length > longest && pattern.matches(path)) longest = pattern.text.length;
  }
  return longest;
}

function mostSpecific(rule: CompiledRule): number {
  const lengths = rule.paths?.map((pattern) => pattern.text.length) ?? [];
  return conditionRank(Math.max(0, ...lengths), rule.methods);
}

/** Above every rank of conditions. */
export const CONDITION_RANKS = 2 ** 24;

function conditionRank(pathLength: number, methods: ReadonlySet<string> | undefined): number {
  const fewness = methods === undefined ? 0 : 255 - Math.min(methods.size, 254);
  return Math.min(pathLength, 0xffff) * 256 + fewness;
}
