import type { Ip } from '../core/ip.ts';
import { Channel } from '../stream/channel.ts';
import { dial } from './dial.ts';
import type { Aim, Dialled, DialTerms, WayOut } from './way-out.ts';

/**
 * Straight to the destination, from an address of this host:
 *
 *     client              gateway                  destination
 *       |--- what it asks -->| decided                  |
 *       |                    |--- TCP from 10.0.0.9 --->|
 */
export class Direct implements WayOut {
  readonly id: string;
  readonly #from: readonly Ip[] | undefined;

  /** @param from at most one address of each family; undefined: the system picks */
  constructor(id: string, from?: readonly Ip[]) {
    this.id = id;
    this.#from = from;
  }

  async dial({ addresses, destination }: Aim, terms: DialTerms): Promise<Dialled> {
    const { timeoutMs, idleMs } = terms;
    const from = this.#from && { from: this.#from };
    const { socket, address } = await dial(addresses, destination.port, { timeoutMs, ...from });
    return { stream: new Channel(socket, idleMs), address };
  }

  dialForRequests(aim: Aim, terms: DialTerms): Promise<Dialled> {
    return this.dial(aim, terms);
  }
}
