import { Bag } from './core/bag.ts';
import { type Decision, deny, passes } from './core/decision.ts';
import type { Ip } from './core/ip.ts';
import type { Work } from './core/work.ts';
import type { Permit } from './exchange.ts';
import type { InForce } from './in-force.ts';
import { decideAddress, decideName, isLeftToParent, type OwnAddresses } from './policy/policy.ts';

export interface OpenTunnel {
  readonly permit: Permit;
  /** Undefined where a parent proxy resolved it. */
  readonly address: Ip | undefined;
  /** Whether the requests inside are read, and decided on one by one. */
  readonly isRead: boolean;
  /** One that is read ends behind the exchanges that are under way in it. */
  breakOff(): void;
}

/** Tunnels that are open now: each was decided on once, and may outlive the policy that did. */
export class OpenTunnels {
  readonly #open = new Bag<OpenTunnel>();
  readonly #own: OwnAddresses;

  constructor(own: OwnAddresses) {
    this.#own = own;
  }

  /**
   * A tunnel begins. One that was decided on before a reload, and was still dialling or waiting for its ClientHello, is
   * judged like one that was open then.
   *
   * @returns to be called at the tunnel's end
   */
  add(tunnel: OpenTunnel, inForce: InForce, now: number): () => void {
    const place = this.#open.add(tunnel);
    if (tunnel.permit.inForce !== inForce) this.#judge(tunnel, inForce, now);
    return () => this.#open.delete(place);
  }

  /**
   * Ends every tunnel that what is now in force would refuse, with that decision on its record, or would pass without
   * reading it. Gives their number.
   */
  *endingDenied(inForce: InForce, now: number): Work<number> {
    let ended = 0;
    // What comes meanwhile is judged as it comes, and what is gone has ended by itself.
    for (const tunnel of this.#open) {
      if (this.#judge(tunnel, inForce, now)) ended++;
      yield;
    }
    return ended;
  }

  /** Whether it was ended. */
  #judge(tunnel: OpenTunnel, inForce: InForce, now: number): boolean {
    const { permit, address, breakOff } = tunnel;
    if (inForce.config.gateway.onReload === 'keep') return false;
    const decision = decideAgain(permit, address, inForce, this.#own, now);
    if (passes(decision)) {
      const ends = tunnel.isRead && !wouldRead(permit, decision);
      if (ends) breakOff();
      return ends;
    }
    // Closed whatever becomes of the record, whose own trouble the writer tells: the way is no longer allowed.
    permit.record.decision(decision).catch(() => undefined);
    breakOff();
    return true;
  }
}

/** Whether the requests in a tunnel are read that is passed like this: TLS that is opened, or none to be expected. */
function wouldRead({ question }: Permit, { settings }: Decision): boolean {
  return (
    settings?.intercept === true || (question.destination.port === 80 && settings?.tls !== 'off')
  );
}

function decideAgain(
  { principal, question }: Permit,
  address: Ip | undefined,
  { policy, config }: InForce,
  own: OwnAddresses,
  now: number,
): Decision {
  const known = config.principals.some(
    ({ name }) => name === principal?.name || name === principal?.template,
  );
  if (principal !== undefined && !known) {
    return deny('identify', 'identity-invalid', 'this principal is no longer defined');
  }
  const asked = { ...question, now };
  const named = decideName(policy, asked);
  if (!passes(named)) return named;
  if (address !== undefined) return decideAddress(policy, asked, address, own);
  if (isLeftToParent(named, question.destination)) return named;
  return deny('address', 'address-forbidden', 'only a parent proxy knows its address');
}
