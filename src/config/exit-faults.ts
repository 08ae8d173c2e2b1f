import { hostText, sameHost } from '../core/destination.ts';
import { type Diagnostic, Fault, quote } from '../core/diagnostic.ts';
import type { Config } from './config.ts';
import type { Merged } from './merge.ts';

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
    const { host } = exit.parent;
    if (sameHost(credential.for, host)) continue;
    const message = `the credential ${quote(credential.name)} is for ${hostText(credential.for)}, not for ${hostText(host)}`;
    const remedy = `give ${hostText(host)} a credential of its own`;
    const at = merged.at(['exits', exit.name, 'parentProxy', 'credential']);
    faults.push(new Fault(message, remedy).at(at));
  }
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
