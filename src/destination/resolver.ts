import type { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { UpstreamError } from '../core/refusal.ts';
import { inDialOrder } from './address-order.ts';
import { AnswerCache } from './answer-cache.ts';
import { HostsFile } from './hosts-file.ts';
import { type Answer, type Lookup, lookUp, type NameServer } from './lookup.ts';

export interface ResolverStats {
  /** Names whose answer is kept. */
  readonly kept: number;
  /** Names that are being looked up. */
  readonly inFlight: number;
  /** Answered from what was kept, or by a lookup that somebody else had begun. */
  readonly hits: number;
  readonly lookups: number;
  /** Lookups that DNS did not answer; a name that does not exist is an answer. */
  readonly failures: number;
}

/** Turns names into addresses. */
export interface Resolver {
  /**
   * The addresses of a name in the order to dial; never empty.
   *
   * @throws UpstreamError `resolve-failed`
   */
  resolve(host: Hostname): Promise<readonly Ip[]>;
  readonly stats: ResolverStats;
  /** Ends what is in flight and fails what comes later. */
  close(): void;
}

export interface ResolverOptions {
  /** Empty: those of /etc/resolv.conf. */
  readonly servers: readonly NameServer[];
  /** Default: /etc/hosts. Read again when it changes. */
  readonly hostsFile?: string;
  /** For both families and all tries together. Default: 5 s. */
  readonly timeoutMs?: number;
  /** Default: 50 ms (RFC 8305 section 3). */
  readonly resolutionDelayMs?: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  readonly meter?: LookupMeter;
}

export type LookupOutcome = 'answered' | 'no-address' | 'failed' | 'too-many';

export interface LookupMeter {
  lookedUp(milliseconds: number, outcome: LookupOutcome): void;
}

const MAX_KEPT = 10_000;
const MAX_IN_FLIGHT = 1_000;

const MIN_KEEP_MS = 1_000;
const MAX_KEEP_MS = 300_000;
/** "There is no such name", and an answer that lacks a family only because its server was slow or failed. */
const BRIEF_MS = 5_000;
/** Failures are kept as well (RFC 9520 section 3.2), so that clients which try again do not hammer a sick server. */
const FAILURE_MS = 1_000;

const LOOPBACK = inDialOrder(['::1', '127.0.0.1'].map((text) => Ip.parse(text) as Ip));

export function createResolver(options: ResolverOptions): Resolver {
  return new CachingResolver(options);
}

class CachingResolver implements Resolver {
  readonly #options: ResolverOptions;
  readonly #now: () => number;
  readonly #hosts: HostsFile;
  /** Promises that are settled already, so that a hit costs no more than two look-ups in maps. */
  readonly #kept: AnswerCache<Promise<readonly Ip[]>>;
  readonly #inFlight = new Map<string, { lookup: Lookup; ips: Promise<readonly Ip[]> }>();
  readonly #counts = { hits: 0, lookups: 0, failures: 0 };
  #closed = false;

  constructor(options: ResolverOptions) {
    const now = options.now ?? (() => performance.now());
    this.#options = options;
    this.#now = now;
    this.#hosts = new HostsFile(options.hostsFile ?? '/etc/hosts', now);
    this.#kept = new AnswerCache(MAX_KEPT, now);
  }

  get stats(): ResolverStats {
    return { kept: this.#kept.size, inFlight: this.#inFlight.size, ...this.#counts };
  }

  // Not an async function: a hit hands out the promise that is kept.
  resolve(host: Hostname): Promise<readonly Ip[]> {
    try {
      const local = this.#withoutQuery(host);
      if (local !== undefined) return Promise.resolve(local);
    } catch (error) {
      return Promise.reject(error);
    }
    const known = this.#kept.get(host.name) ?? this.#inFlight.get(host.name)?.ips;
    if (known === undefined) return this.#begin(host);
    this.#counts.hits++;
    return known;
  }

  close(): void {
    this.#closed = true;
    this.#kept.clear();
    for (const { lookup } of this.#inFlight.values()) lookup.cancel();
  }

  /** Special-use names never leave this host, whatever the hosts file says (RFC 6761 sections 6.3 and 6.4). */
  #withoutQuery(host: Hostname): readonly Ip[] | undefined {
    const { name } = host;
    if (this.#closed) throw failed(name, 'the gateway is about to stop');
    if (host.isLocalhost) return LOOPBACK;
    if (isWithin(name, 'invalid')) throw failed(name, 'names below .invalid never exist');
    const listed = this.#hosts.get(host);
    return listed === undefined ? undefined : inDialOrder(listed);
  }

  #begin(host: Hostname): Promise<readonly Ip[]> {
    const began = this.#now();
    if (this.#inFlight.size >= MAX_IN_FLIGHT) {
      this.#options.meter?.lookedUp(0, 'too-many');
      const why = `${MAX_IN_FLIGHT} names wait for an answer already; see whether the resolvers are well`;
      return Promise.reject(failed(host.name, why));
    }
    this.#counts.lookups++;
    const lookup = lookUp(host, {
      servers: this.#options.servers,
      timeoutMs: this.#options.timeoutMs ?? 5_000,
      resolutionDelayMs: this.#options.resolutionDelayMs ?? 50,
    });
    const ips = lookup.answer.then((answer) => this.#finish(host, answer, began));
    this.#inFlight.set(host.name, { lookup, ips });
    return ips;
  }

  #finish({ name }: Hostname, answer: Answer, began: number): Promise<readonly Ip[]> {
    this.#inFlight.delete(name);
    this.#options.meter?.lookedUp(this.#now() - began, outcomeOf(answer));
    const ips =
      answer.ips.length > 0
        ? Promise.resolve(answer.ips)
        : Promise.reject(unresolved(name, answer));
    if (answer.ips.length === 0 && answer.trouble !== undefined) this.#counts.failures++;
    if (!this.#closed) this.#kept.set(name, ips, keepMs(answer));
    return ips;
  }
}

function outcomeOf({ ips, trouble }: Answer): LookupOutcome {
  if (ips.length > 0) return 'answered';
  return trouble === undefined ? 'no-address' : 'failed';
}

function keepMs(answer: Answer): number {
  if (answer.ips.length === 0) return answer.trouble === undefined ? BRIEF_MS : FAILURE_MS;
  const most = answer.trouble === undefined ? MAX_KEEP_MS : BRIEF_MS;
  return Math.min(Math.max(answer.ttl * 1_000, MIN_KEEP_MS), most);
}

function unresolved(name: string, answer: Answer): UpstreamError {
  if (answer.trouble === undefined) return failed(name, 'DNS has no address for it');
  return failed(name, `no answer from DNS (${answer.trouble}); see \`gateway.resolvers\``);
}

function failed(name: string, why: string): UpstreamError {
  return new UpstreamError('resolve-failed', `${name} does not resolve: ${why}`);
}

function isWithin(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}
