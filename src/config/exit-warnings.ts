import { type Diagnostic, quote, warning } from '../core/diagnostic.ts';
import { Cidr } from '../core/ip.ts';
import { isLoopback } from './client-warnings.ts';
import type { Config, DestinationPattern, ExitConfig } from './config.ts';
import { resolvesAtParent } from './exit-faults.ts';

/** Passwords for parent proxies that whoever is on the way can read. */
export function findClearCredentials({ exits }: Config): Diagnostic[] {
  return exits.flatMap((exit) => {
    const credential = exit.kind === 'parent' ? clearCredential(exit) : undefined;
    if (credential === undefined) return [];
    const message = `the credential ${quote(credential)} goes to the parent proxy of ${quote(exit.name)} in clear`;
    return [warning(exit.at, message, 'reach the parent by https://')];
  });
}

function clearCredential({ parent }: ExitConfig & { kind: 'parent' }): string | undefined {
  const { host, tls, credential } = parent;
  const stays = Cidr.parse(host.toString());
  return tls !== undefined || (stays !== undefined && isLoopback(stays)) ? undefined : credential;
}

/** Denies that speak of addresses, where a parent that resolves leaves no address to compare with. */
export function findUnseeingDenies({ exits, rules, sets }: Config): Diagnostic[] {
  const unseen = new Set(exits.filter(resolvesAtParent).map(({ name }) => name));
  const allow = rules.find(
    (rule) => rule.effect === 'allow' && rule.via !== undefined && unseen.has(rule.via),
  );
  if (allow === undefined) return [];
  const isNetwork = (pattern: DestinationPattern): boolean =>
    pattern.kind === 'set'
      ? (sets.get(pattern.set)?.entries ?? []).some(isNetwork)
      : pattern.kind === 'network';
  return rules
    .filter(({ effect, to }) => effect === 'deny' && to.some(isNetwork))
    .map(({ name, at }) => {
      const message = `the deny ${quote(name)} cannot see the addresses of names that the rule ${quote(allow.name)} leaves to a parent proxy`;
      return warning(at, message, 'deny the names as well, or have the parent deny the networks');
    });
}
