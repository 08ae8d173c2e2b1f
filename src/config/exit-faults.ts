import { hostText, sameHost } from '../core/destination.ts';
import { type Diagnostic, Fault, quote } from '../core/diagnostic.ts';
import type { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
import type { Config, CredentialConfig, CredentialReceiver } from './config.ts';
import { isHeld } from './credential-refs.ts';
import type { Merged } from './merge.ts';
import { receiverText } from './receivers.ts';

/** What exits say and other sections contradict. */
export function checkExits(config: Config, merged: Merged, faults: Diagnostic[]): void {
  checkReceivers(config, merged, faults);
  checkUnseenAddresses(config, merged, faults);
}

/** A credential goes to the host that it is for, and to no other. */
function checkReceivers(
  { exits, credentials }: Config,
  merged: Merged,
  faults: Diagnostic[],
): void {
  for (const exit of exits) {
    const name = exit.kind === 'parent' ? exit.parent.credential : undefined;
    const credential = credentials.find((one) => one.name === name);
    if (exit.kind !== 'parent' || credential === undefined) continue;
    const at = merged.at(['exits', exit.name, 'parentProxy', 'credential']);
    const fault = receiverFault(credential, exit.parent.host);
    if (fault !== undefined) faults.push(fault.at(at));
  }
}

function receiverFault(credential: CredentialConfig, host: Hostname | Ip): Fault | undefined {
  const { kind, for: receiver } = credential;
  const name = quote(credential.name);
  if (kind.kind !== 'basic' || !isHeld(kind.password)) {
    return new Fault(
      `a parent proxy cannot be shown the credential ${name}`,
      'give it one with basic, whose password is in env, file or literal',
    );
  }
  if (receiver !== undefined && isExactly(receiver, host)) return undefined;
  return new Fault(
    `the credential ${name} is for ${receiverText(receiver)}, not for ${hostText(host)}`,
    `give ${hostText(host)} a credential of its own`,
  );
}

function isExactly(receiver: CredentialReceiver, host: Hostname | Ip): boolean {
  if (receiver.kind === 'suffix') return false;
  return sameHost(receiver.kind === 'host' ? receiver.host : receiver.ip, host);
}

/** `addresses` limits what is dialled, and a parent that resolves tells nobody what it dials. */
function checkUnseenAddresses(
  { exits, rules }: Config,
  merged: Merged,
  faults: Diagnostic[],
): void {
  const unseen = new Set(exits.filter(resolvesAtParent).map(({ name }) => name));
  for (const [i, rule] of rules.entries()) {
    if (rule.effect === 'deny' || rule.addresses === undefined) continue;
    if (rule.via === undefined || !unseen.has(rule.via)) continue;
    const message = `addresses cannot be held to: the exit ${quote(rule.via)} leaves names to its parent proxy`;
    const remedy = 'remove it, or have the exit resolve: local';
    faults.push(new Fault(message, remedy).at(merged.at(['rules', i, 'addresses'], 'key')));
  }
}

export function resolvesAtParent(exit: Config['exits'][number]): boolean {
  return exit.kind === 'parent' && exit.parent.resolve === 'parent';
}
