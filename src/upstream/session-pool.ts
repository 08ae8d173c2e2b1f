import type { Connection } from '../core/conversation.ts';
import type { Ip } from '../core/ip.ts';
import type { Channel } from '../stream/channel.ts';
import { leadsTo } from './leads-to.ts';
import type { PoolLimits } from './pool-limits.ts';
import type { UpstreamSession } from './session.ts';

/** Destinations of which it is remembered that they speak HTTP/1.1 alone, or insist on it. */
const MOST_REMEMBERED = 1_000;

/**
 * HTTP/2 connections to destinations, which each serve several exchanges at a time. The keys are those of `HttpPool`, and like
 * there a connection is given out only when its address is among those that the exchange at hand was decided on.
 */
export class SessionPool {
  readonly #sessions = new Map<string, Set<UpstreamSession>>();
  readonly #opening = new Map<string, Promise<unknown>>();
  readonly #single = new Set<string>();
  readonly #insistent = new Set<string>();
  readonly #limits: PoolLimits;
  #size = 0;
  #reused = 0;
  #discarded = 0;

  /** @param limits of the sessions without exchanges that are kept */
  constructor(limits: PoolLimits) {
    this.#limits = limits;
  }

  get stats() {
    const sessions = [...this.#sessions.values()].flatMap((some) => [...some]);
    const streams = sessions.reduce((sum, session) => sum + session.streams, 0);
    return { sessions: this.#size, streams, reused: this.#reused, discarded: this.#discarded };
  }

  /** Whether the destination has agreed on HTTP/2, and then wanted to be asked by HTTP/1.1 (RFC 9113 7, HTTP_1_1_REQUIRED). */
  needsHttp1(key: string): boolean {
    return this.#insistent.has(key);
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
      if (connection.giveBack === undefined) remember(this.#single, key);
      return connection;
    } finally {
      this.#opening.delete(key);
    }
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
        const { perKey, total, idleMs } = this.#limits;
        if (sessions.size > perKey || this.#size > total) return session.retire();
        timer = setTimeout(() => session.streams === 0 && session.retire(), idleMs).unref();
      },
      http1Required: () => remember(this.#insistent, key),
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

function remember(keys: Set<string>, key: string): void {
  const [oldest] = keys;
  if (keys.size >= MOST_REMEMBERED && oldest !== undefined) keys.delete(oldest);
  keys.add(key);
}
