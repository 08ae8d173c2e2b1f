import { type Decision, deny, passes } from './core/decision.ts';
import type { Ip } from './core/ip.ts';
import type { Permit } from './exchange.ts';
import type { InForce } from './in-force.ts';
import { decideAddress, decideName, type OwnAddresses } from './policy/policy.ts';

interface OpenTunnel {
  readonly permit: Permit;
  readonly address: Ip;
  breakOff(): void;
}

/** Tunnels that pass bytes now: each was decided on once, and may outlive the policy that did. */
export class OpenTunnels {
  readonly #open = new Set<OpenTunnel>();

  /** @returns to be called at the tunnel's end */
  add(permit: Permit, address: Ip, breakOff: () => void): () => void {
    const tunnel = { permit, address, breakOff };
    this.#open.add(tunnel);
    return () => this.#open.delete(tunnel);
  }

  /** Ends every tunnel that what is now in force would refuse, with that decision on its record. Gives their number. */
  async endDenied(inForce: InForce, own: OwnAddresses, now: number): Promise<number> {
    let ended = 0;
    for (const { permit, address, breakOff } of this.#open) {
      const decision = decideAgain(permit, address, inForce, own, now);
      if (passes(decision)) continue;
      ended++;
      // Closed whatever becomes of the record: the way is no longer allowed.
      await permit.record.decision(decision).catch(() => undefined);
      breakOff();
    }
    return ended;
  }
}

function decideAgain(
  { principal, question }: Permit,
  address: Ip,
  { policy, loaded }: InForce,
  own: OwnAddresses,
  now: number,
): Decision {
  const known = loaded.config.principals.some(
    ({ name }) => name === principal?.name || name === principal?.template,
  );
  if (principal !== undefined && !known) {
    return deny('identify', 'identity-invalid', 'this principal is no longer defined');
  }
  const named = decideName(policy, { ...question, now });
  return passes(named) ? decideAddress(policy, { ...question, now }, address, own) : named;
}
