import type { Connection } from '../core/conversation.ts';
import type { Ip } from '../core/ip.ts';
import type { Channel } from '../stream/channel.ts';
import { leadsTo } from './leads-to.ts';
import type { UpstreamSession } from './session.ts';

/** Destinations of which it is remembered that they speak HTTP/1.1 alone. */
const MOST_REMEMBERED = 1_000;

/**
 * HTTP/2 connections to destinations, which each serve several exchanges at a time. The keys are those of `HttpPool`, and like
 * there a connection is given out only when its address is among those that the exchange at hand was decided on.
 */
export class SessionPool {
  readonly #sessions = new Map<string, Set<UpstreamSession>>();
  readonly #opening = new Map<string, Promise<unknown>>();
  readonly #single = new Set<string>();
  readonly #idleMs: number;
  #size = 0;
  #reused = 0;
  #discarded = 0;

  /** @param idleMs how long a session without exchanges is kept */
  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  get stats() {
    return { kept: this.#size, reused: this.#reused, discarded: this.#discarded };
  }

  /**
   * A connection for one exchange: on a session that is there, or what `open` gives. While one is opened others wait for
   * it, once: where it has no room, or none came about, everybody opens one for himself.
   */
  async borrow(
    key: string,
    addresses: readonly Ip[],
    open: () => Promise<Connection<Channel>>,
  ): Promise<Connection<Channel>> {
    const found = this.#find(key, addresses);
    if (found !== undefined) return found;
    const opening = this.#opening.get(key);
    if (opening === undefined) return this.#single.has(key) ? open() : this.#openFirst(key, open);
    await opening;
    return this.#find(key, addresses) ?? open();
  }

  #find(key: string, addresses: readonly Ip[]): Connection<Channel> | undefined {
    for (const session of this.#sessions.get(key) ?? []) {
      if (!session.hasRoom || !leadsTo(session.route, addresses)) continue;
      this.#reused++;
      return session.connection(true);
    }
    return undefined;
  }

  async #openFirst(
    key: string,
    open: () => Promise<Connection<Channel>>,
  ): Promise<Connection<Channel>> {
    const opened = open();
    this.#opening.set(
      key,
      opened.catch(() => undefined),
    );
    try {
      const connection = await opened;
      if (connection.giveBack === undefined) this.#remember(key);
      return connection;
    } finally {
      this.#opening.delete(key);
    }
  }

  #remember(key: string): void {
    const [oldest] = this.#single;
    if (this.#single.size >= MOST_REMEMBERED && oldest !== undefined) this.#single.delete(oldest);
    this.#single.add(key);
  }

  /** @returns a connection for the exchange that it was opened for */
  add(key: string, session: UpstreamSession): Connection<Channel> {
    const sessions = this.#sessions.get(key) ?? new Set();
    this.#sessions.set(key, sessions.add(session));
    this.#single.delete(key);
    this.#size++;
    let timer: NodeJS.Timeout | undefined;
    session.events = {
      idle: () => {
        clearTimeout(timer);
        timer = setTimeout(() => session.isIdle && session.retire(), this.#idleMs).unref();
      },
      retired: () => {
        clearTimeout(timer);
        sessions.delete(session);
        this.#size--;
        this.#discarded++;
        if (sessions.size === 0) this.#sessions.delete(key);
      },
    };
    return session.connection(false);
  }

  close(): void {
    for (const sessions of this.#sessions.values())
      for (const session of sessions) session.destroy();
  }
}
