import type { Connection, Grant, TunnelEnd } from '../core/conversation.ts';
import type { Decision } from '../core/decision.ts';
import { type Destination, destinationText } from '../core/destination.ts';
import type { Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import { UpstreamError } from '../core/refusal.ts';
import type { OnwardTrace } from '../core/trace-context.ts';
import { Channel } from '../stream/channel.ts';
import { dial } from './dial.ts';
import type { HttpPool } from './pool.ts';
import { tunnel } from './tunnel.ts';

/** The ways out that the gateway has. */
export interface WaysOut {
  readonly pool: HttpPool;
  /** Local addresses by the name of their exit. */
  readonly exits: ReadonlyMap<string, Ip>;
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
  readonly destination: Destination;
  readonly addresses: readonly Ip[];
  record(decision: Decision): Promise<void>;
  dialled(address: Ip): void;
  answered(): void;
  /** A tunnel begins; what is returned is called at its end. */
  opened(address: Ip, breakOff: () => void): () => void;
}

/** Carries out a permission: dials its addresses by the exit of its rule, and no others by no other. */
export class UpstreamGrant implements Grant<Channel> {
  readonly id: string;
  readonly decision: Decision;
  readonly principal: Principal | undefined;
  readonly contact: string | undefined;
  readonly identityHeaders: ReadonlySet<string>;
  readonly trace: OnwardTrace | undefined;
  readonly #permission: Permission;
  readonly #ways: WaysOut;

  constructor(permission: Permission, ways: WaysOut) {
    this.id = permission.id;
    this.decision = permission.decision;
    this.principal = permission.principal;
    this.contact = permission.contact;
    this.identityHeaders = permission.identityHeaders;
    this.trace = permission.trace;
    this.#permission = permission;
    this.#ways = ways;
  }

  async dial(): Promise<Connection<Channel>> {
    const { addresses, destination } = this.#permission;
    const { connectMs, idleMs, meter } = this.#ways;
    const began = meter.now();
    const dialled = (outcome: string) =>
      meter.dialled(this.decision.settings?.via, meter.now() - began, outcome);
    try {
      const { socket, address } = await dial(addresses, destination.port, {
        timeoutMs: connectMs,
        ...this.#localAddress(),
      });
      dialled('connected');
      this.#permission.dialled(address);
      return { stream: new Channel(socket, idleMs), address, reused: false };
    } catch (error) {
      dialled(error instanceof UpstreamError ? error.code : 'gateway-fault');
      throw error;
    }
  }

  async borrow(): Promise<Connection<Channel>> {
    const kept = this.#ways.pool.take(this.#poolKey(), this.#permission.addresses);
    if (kept === undefined) return this.dial();
    this.#permission.dialled(kept.address);
    return kept;
  }

  giveBack(connection: Connection<Channel>): void {
    this.#ways.pool.put(this.#poolKey(), connection);
  }

  async tunnel(client: Channel, upstream: Connection<Channel>, early: Buffer): Promise<TunnelEnd> {
    const { meter, idleMs } = this.#ways;
    let closed = () => {};
    meter.tunnels(1);
    try {
      return await tunnel(client, upstream.stream, early, idleMs, (breakOff) => {
        closed = this.#permission.opened(upstream.address, breakOff);
      });
    } finally {
      meter.tunnels(-1);
      closed();
    }
  }

  answered(): void {
    this.#permission.answered();
  }

  record(decision: Decision): Promise<void> {
    return this.#permission.record(decision);
  }

  #localAddress(): { localAddress?: Ip } {
    const exit = this.decision.settings?.via;
    if (exit === undefined) return {};
    const localAddress = this.#ways.exits.get(exit);
    // The configuration was checked for this; leaving by another address instead would betray the rule.
    if (localAddress === undefined) throw new TypeError(`no exit named ${exit}`);
    return { localAddress };
  }

  /** Some servers take a connection for its first user's: no principal is given another's. */
  #poolKey(): string {
    const exit = this.decision.settings?.via ?? '';
    const destination = destinationText(this.#permission.destination);
    return `${destination} ${exit} ${this.principal?.name ?? ''}`;
  }
}
