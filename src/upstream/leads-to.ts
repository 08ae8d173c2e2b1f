import type { Connection } from '../core/conversation.ts';
import type { Ip } from '../core/ip.ts';

/** Whether a connection may serve what was decided on these addresses. Where nobody here resolved, its key alone says so. */
export function leadsTo(
  { address }: Pick<Connection<unknown>, 'address'>,
  addresses: readonly Ip[],
): boolean {
  if (address === undefined) return addresses.length === 0;
  for (const ip of addresses) if (ip.equals(address)) return true;
  return false;
}
