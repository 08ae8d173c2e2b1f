import type { SendHandle } from 'node:child_process';
import type { Bind, ListenerConfig } from '../config/config.ts';
import type { Logger } from '../log.ts';
import type { Slot } from './slot.ts';

/** One socket that listens: every worker has its own at each address (SO_REUSEPORT). */
interface ListeningSocket {
  readonly listener: string;
  /** With the port that the system picked. */
  readonly bind: Bind;
  readonly handle: SendHandle;
  /** Its own worker, or another one while that is gone; undefined: nobody is there. */
  acceptor: Slot | undefined;
}

/**
 * The sockets that workers accept from. The system spreads connections over those of an address by their two ends.
 *
 * The primary keeps each open and never accepts from it, so that connections which a dead worker had not accepted yet are
 * still there: another worker accepts them, until the next process of that place does.
 */
export class Sockets {
  readonly #listeners: readonly ListenerConfig[];
  readonly #log: Logger;
  /** By name of the socket. */
  readonly #sockets = new Map<string, ListeningSocket>();

  constructor(listeners: readonly ListenerConfig[], log: Logger) {
    this.#listeners = listeners;
    this.#log = log;
  }

  /** What each listener is bound to. */
  bound(): ReadonlyMap<string, readonly Bind[]> {
    return new Map(
      this.#listeners.map(({ name, bind }) => [
        name,
        bind.map((_, i) => (this.#at(name, i) as ListeningSocket).bind),
      ]),
    );
  }

  /** Has a worker accept from the sockets of its place; where there are none yet, it makes them. */
  async serveBy(slot: Slot): Promise<void> {
    const served: string[] = [];
    for (const { name: listener, bind } of this.#listeners) {
      for (const [i, written] of bind.entries()) {
        const socket = nameOf(listener, i, slot.number);
        const known = this.#sockets.get(socket);
        const at = known?.bind ?? this.#at(listener, i)?.bind ?? written;
        const made = await slot.listen({ listener, bind: at, socket }, known?.handle);
        if (known === undefined) this.#sockets.set(socket, { listener, ...made, acceptor: slot });
        served.push(socket);
      }
    }
    // Only now: had it died halfway, others would be needed for all of them.
    for (const name of served) this.#handBack(name, slot);
  }

  /** The worker is gone. To be followed by `settle`. */
  lost(slot: Slot): void {
    for (const socket of this.#sockets.values()) {
      if (socket.acceptor === slot) socket.acceptor = undefined;
    }
  }

  /** Has one of the workers that are there accept from each socket that nobody accepts from. */
  settle(present: readonly Slot[]): void {
    const [standIn] = present;
    if (standIn === undefined) return;
    for (const [name, socket] of this.#sockets) {
      if (socket.acceptor !== undefined) continue;
      socket.acceptor = standIn;
      const { listener, bind, handle } = socket;
      standIn.listen({ listener, bind, socket: name }, handle).catch((error: unknown) => {
        if (socket.acceptor === standIn) socket.acceptor = undefined;
        this.#log.error(
          { err: error, listener, worker: standIn.number },
          'a worker cannot stand in',
        );
      });
    }
  }

  /**
   * Keeps them open no longer: once workers close theirs too, clients are refused, and what nobody has accepted by then is
   * reset.
   */
  release(): void {
    for (const { handle } of this.#sockets.values()) {
      (handle as unknown as { close(): void }).close();
    }
    this.#sockets.clear();
  }

  #handBack(name: string, slot: Slot): void {
    const socket = this.#sockets.get(name);
    if (socket === undefined || socket.acceptor === slot) return;
    const standIn = socket.acceptor;
    socket.acceptor = slot;
    standIn?.ask('unlisten', name).catch((error: unknown) => {
      this.#log.error({ err: error, worker: standIn.number }, 'a worker goes on standing in');
    });
  }

  /** Any worker's socket at an address of a listener. */
  #at(listener: string, index: number): ListeningSocket | undefined {
    const start = `${listener} ${index} `;
    for (const [name, socket] of this.#sockets) if (name.startsWith(start)) return socket;
    return undefined;
  }
}

function nameOf(listener: string, index: number, slot: number): string {
  return `${listener} ${index} ${slot}`;
}
