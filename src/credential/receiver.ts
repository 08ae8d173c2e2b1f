import type { CredentialReceiver } from '../config/config.ts';
import { sameHost } from '../core/destination.ts';
import type { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';

/** Whether a credential is for this host. */
export function isFor(receiver: CredentialReceiver, host: Hostname | Ip): boolean {
  if (receiver.kind === 'address') return sameHost(receiver.ip, host);
  if (receiver.kind === 'host') return sameHost(receiver.host, host);
  if (host instanceof Ip) return false;
  const { suffix, apex } = receiver;
  return host.name.endsWith(`.${suffix.name}`) || (apex && host.name === suffix.name);
}
