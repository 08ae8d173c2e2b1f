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
  /** Another worker that accepts from it while its own is gone. */
  standIn: Slot | undefined;
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
    for (const { name: listener, bind } of this.#listeners) {
      for (const [i, written] of bind.entries()) {
        const socket = nameOf(listener, i, slot.number);
        const known = this.#sockets.get(socket);
        const at = known?.bind ?? this.#at(listener, i)?.bind ?? written;
        const made = await slot.listen({ listener, bind: at, socket }, known?.handle);
        if (known === undefined) {
          this.#sockets.set(socket, { listener, ...made, standIn: undefined });
        } else this.#endStandIn(socket, known);
      }
    }
  }

  /** Has another worker accept from the sockets of one that is gone. */
  takeOver(gone: Slot, present: readonly Slot[]): void {
    for (const [name, socket] of this.#sockets) {
      const wasServed = name.endsWith(` ${gone.number}`) || socket.standIn === gone;
      if (!wasServed) continue;
      socket.standIn = present[0];
      const { listener, bind, handle } = socket;
      present[0]
        ?.listen({ listener, bind, socket: name }, handle)
        .catch((error: unknown) =>
          this.#log.error(
            { err: error, listener },
            'no other worker accepts in place of one that is gone',
          ),
        );
    }
  }

  /** Connections that nobody has accepted are reset by this. */
  close(): void {
    for (const { handle } of this.#sockets.values()) {
      (handle as unknown as { close(): void }).close();
    }
    this.#sockets.clear();
  }

  #endStandIn(name: string, socket: ListeningSocket): void {
    const { standIn } = socket;
    socket.standIn = undefined;
    if (standIn?.serves !== true) return;
    standIn
      .ask('unlisten', name)
      .catch((error: unknown) =>
        this.#log.error(
          { err: error, worker: standIn.number },
          'a worker goes on accepting for another',
        ),
      );
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
