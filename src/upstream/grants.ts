import type { Connection, Grant, Trail, TunnelEnd } from '../core/conversation.ts';
import type { Decision } from '../core/decision.ts';
import { type Destination, destinationText } from '../core/destination.ts';
import type { BodyChange, GrantedCredential } from '../core/injection.ts';
import type { Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import { UpstreamError } from '../core/refusal.ts';
import type { OnwardTrace } from '../core/trace-context.ts';
import { Channel } from '../stream/channel.ts';
import { NO_EXIT } from './exits.ts';
import type { HttpPool } from './pool.ts';
import { secured } from './secured.ts';
import { tunnel } from './tunnel.ts';
import type { Dialled, DialTerms, ParentFinder, WayOut } from './way-out.ts';

/** The ways out that the gateway has. */
export interface WaysOut {
  readonly pool: HttpPool;
  readonly exits: ReadonlyMap<string, WayOut>;
  readonly parents: ParentFinder;
  readonly connectMs: number;
  readonly idleMs: number;
  readonly meter: DialMeter;
}

export interface DialMeter {
  /** @param outcome `connected`, or the trouble */
  dialled(exit: string | undefined, milliseconds: number, outcome: string): void;
  tunnels(change: 1 | -1): void;
  now(): number;
}

/** One recorded permission: what may be dialled, and how it is put on record what happens later. */
export interface Permission {
  readonly id: string;
  readonly decision: Decision;
  readonly principal: Principal | undefined;
  readonly contact: string | undefined;
  readonly identityHeaders: ReadonlySet<string>;
  readonly trace: OnwardTrace | undefined;
  readonly credential: GrantedCredential | undefined;
  readonly intercept: Grant<Channel>['intercept'];
  /** PEM of CAs besides the system's that vouch for destinations. */
  readonly alsoTrust: string | undefined;
  readonly destination: Destination;
  readonly addresses: readonly Ip[];
  record(decision: Decision): Promise<void>;
  dialled(connection: Pick<Connection<Channel>, 'address' | 'parent'>): void;
  answered(): void;
  /** A tunnel begins; what is returned is called at its end. */
  opened(address: Ip | undefined, breakOff: () => void): () => void;
  /** As `opened`, for a tunnel whose requests are read, and which is ended in order. */
  read(end: () => void): () => void;
}

/** Carries out a permission: reaches what was decided on by the exit of its rule, and by no other. */
export class UpstreamGrant implements Grant<Channel> {
  readonly id: string;
  readonly decision: Decision;
  readonly principal: Principal | undefined;
  readonly contact: string | undefined;
  readonly identityHeaders: ReadonlySet<string>;
  readonly trace: OnwardTrace | undefined;
  readonly credential: GrantedCredential | undefined;
  readonly intercept: Grant<Channel>['intercept'];
  readonly #permission: Permission;
  readonly #ways: WaysOut;
  readonly #way: WayOut;
  #key: string | undefined;

  constructor(permission: Permission, ways: WaysOut) {
    this.id = permission.id;
    this.decision = permission.decision;
    this.principal = permission.principal;
    this.contact = permission.contact;
    this.identityHeaders = permission.identityHeaders;
    this.trace = permission.trace;
    this.credential = permission.credential;
    this.intercept = permission.intercept;
    this.#permission = permission;
    this.#ways = ways;
    this.#way = wayOf(permission.decision, ways.exits);
  }

  dial(trail: Trail): Promise<Connection<Channel>> {
    return this.#open(trail, 'dial');
  }

  borrow(
    trail: Trail,
    which = 'kept or new',
    protocol?: 'h2' | undefined,
  ): Promise<Connection<Channel>> {
    const isSecure = this.#permission.destination.scheme === 'https';
    if (protocol === 'h2' && isSecure && !this.#ways.pool.sessions.needsHttp1(this.#poolKey))
      return this.#borrowShared(trail, which);
    const kept = which === 'new' ? undefined : this.#takeKept();
    if (kept === undefined) return this.#open(trail, 'dialForRequests');
    return Promise.resolve(kept);
  }

  #takeKept(): Connection<Channel> | undefined {
    const kept = this.#ways.pool.take(this.#poolKey, this.#permission.addresses);
    if (kept !== undefined) this.#permission.dialled(kept);
    return kept;
  }

  /** HTTP/2 where the destination picks it: then others may be on the same connection. */
  async #borrowShared(trail: Trail, which: string): Promise<Connection<Channel>> {
    const open = () => this.#open(trail, 'dialForRequests', ['h2', 'http/1.1']);
    if (which === 'new') return open();
    const { addresses } = this.#permission;
    const keptOrNew = async () => this.#takeKept() ?? open();
    const shared = await this.#ways.pool.sessions.borrow(this.#poolKey, addresses, keptOrNew);
    this.#permission.dialled(shared);
    return shared;
  }

  async #open(
    trail: Trail,
    how: 'dial' | 'dialForRequests',
    protocols: readonly string[] = ['http/1.1'],
  ): Promise<Connection<Channel>> {
    const { connectMs, idleMs, meter, parents } = this.#ways;
    const began = meter.now();
    const dialled = (outcome: string) =>
      meter.dialled(this.decision.settings?.via, meter.now() - began, outcome);
    try {
      const terms = { timeoutMs: connectMs, idleMs, trail, parents };
      const reached = await this.#reach(how, terms, protocols);
      dialled('connected');
      this.#permission.dialled(reached);
      return { ...reached, reused: false };
    } catch (error) {
      dialled(error instanceof UpstreamError ? error.code : 'gateway-fault');
      throw this.#named(error);
    }
  }

  /** What goes over TLS passes through a parent proxy by a tunnel, which the TLS ends behind. */
  async #reach(
    how: 'dial' | 'dialForRequests',
    terms: DialTerms,
    protocols: readonly string[],
  ): Promise<Dialled> {
    const { destination, alsoTrust } = this.#permission;
    const { host, scheme } = destination;
    if (scheme !== 'https') return this.#way[how](this.#permission, terms);
    const { idleMs } = terms;
    const deadline = performance.now() + terms.timeoutMs;
    const left = () => Math.max(1, deadline - performance.now());
    const reached = await this.#way.dial(this.#permission, terms);
    const trusted = { only: this.credential?.ca, also: alsoTrust };
    const secure = await secured(reached, host, trusted, left(), protocols);
    if (secure.alpnProtocol !== 'h2') return { ...reached, stream: new Channel(secure, idleMs) };
    // Few destinations are asked by it.
    const { UpstreamSession } = await import('./session.ts');
    const { address, parent } = reached;
    const route = parent === undefined ? { address } : { address, parent };
    const session = await UpstreamSession.open(secure, route, { timeoutMs: left(), idleMs });
    return this.#ways.pool.sessions.add(this.#poolKey, session);
  }

  giveBack(connection: Connection<Channel>): void {
    if (connection.giveBack === undefined) this.#ways.pool.put(this.#poolKey, connection);
    else connection.giveBack();
  }

  tunnel(
    client: Channel,
    upstream: Connection<Channel>,
    early: Buffer,
    down?: BodyChange,
  ): Promise<TunnelEnd> {
    const { meter, idleMs } = this.#ways;
    const { address, stream } = upstream;
    let closed = () => {};
    const onOpen = (breakOff: () => void) => {
      closed = this.#permission.opened(address, breakOff);
    };
    meter.tunnels(1);
    return tunnel(client, stream, early, { idleMs, onOpen, down }).finally(() => {
      meter.tunnels(-1);
      closed();
    });
  }

  opened(end: () => void): () => void {
    return this.#permission.read(end);
  }

  answered(): void {
    this.#permission.answered();
  }

  record(decision: Decision): Promise<void> {
    return this.#permission.record(decision);
  }

  /** Says which exit it is that leads nowhere. */
  #named(error: unknown): unknown {
    const { via } = this.decision.settings ?? {};
    if (via === undefined || !(error instanceof UpstreamError)) return error;
    return new UpstreamError(error.code, `exit ${via}: ${error.message}`, { cause: error });
  }

  /** Some servers take a connection for its first user's: no principal is given another's. */
  get #poolKey(): string {
    if (this.#key !== undefined) return this.#key;
    const { destination } = this.#permission;
    const to = `${destination.scheme} ${destinationText(destination)} ${this.credential?.name ?? ''}`;
    this.#key = `${to} ${this.#way.id} ${this.principal?.name ?? ''}`;
    return this.#key;
  }
}

function wayOf({ settings }: Decision, exits: WaysOut['exits']): WayOut {
  if (settings?.via === undefined) return NO_EXIT;
  const way = exits.get(settings.via);
  // The configuration was checked for this; leaving by another way instead would betray the rule.
  if (way === undefined) throw new TypeError(`no exit named ${settings.via}`);
  return way;
}
