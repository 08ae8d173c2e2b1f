import type { ListenerConfig } from '../../config/config.ts';
import type { Ip } from '../../core/ip.ts';
import { liesIn, type PublishedNetworks } from '../../core/networks.ts';

/** What a peer is to a listener: a client, a balancer that says who its client is, or nobody whom it takes. */
export type PeerStanding = 'client' | 'balancer' | 'refused';

/** Who may connect, and who has to send a PROXY header: refused where only a list that is too old could tell. */
export class PeerRules {
  readonly #from;
  readonly #balancers;

  constructor({ from, proxyProtocol }: ListenerConfig, networks: PublishedNetworks) {
    this.#from = from && networks.of(from);
    this.#balancers = proxyProtocol && networks.of(proxyProtocol.from);
  }

  standingOf(ip: Ip): PeerStanding {
    if (this.#from !== undefined && liesIn(this.#from, ip) !== true) return 'refused';
    const isBalancer = this.#balancers !== undefined && liesIn(this.#balancers, ip);
    if (isBalancer === 'unsure') return 'refused';
    return isBalancer ? 'balancer' : 'client';
  }
}
