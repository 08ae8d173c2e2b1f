import { hostText, sameHost } from '../core/destination.ts';
import type { CredentialReceiver, DestinationPattern, SetConfig } from './config.ts';

/** As it is written. */
export function receiverText(receiver: CredentialReceiver | undefined): string {
  if (receiver === undefined) return 'hosts with parameters';
  if (receiver.kind === 'address') return hostText(receiver.ip);
  if (receiver.kind === 'host') return receiver.host.name;
  return `${receiver.apex ? '' : '*'}.${receiver.suffix.name}`;
}

/** Whether everything that a pattern matches is what a credential is for. */
export function covers(
  receiver: CredentialReceiver,
  pattern: DestinationPattern,
  sets: ReadonlyMap<string, SetConfig>,
): boolean {
  switch (pattern.kind) {
    case 'any':
      return false;
    case 'set':
      return (sets.get(pattern.set)?.entries ?? []).every((entry) => covers(receiver, entry, sets));
    case 'network':
      return (
        receiver.kind === 'address' && pattern.cidr.exact && pattern.cidr.contains(receiver.ip)
      );
    case 'host':
      if (receiver.kind === 'host') return sameHost(receiver.host, pattern.host);
      return receiver.kind === 'suffix' && isBelow(pattern.host.name, receiver, receiver.apex);
    case 'suffix':
      if (receiver.kind !== 'suffix') return false;
      return isBelow(pattern.suffix.name, receiver, receiver.apex || !pattern.apex);
  }
}

/** @param apex whether the suffix itself counts */
function isBelow(
  name: string,
  { suffix }: Extract<CredentialReceiver, { kind: 'suffix' }>,
  apex: boolean,
): boolean {
  return name.endsWith(`.${suffix.name}`) || (apex && name === suffix.name);
}
