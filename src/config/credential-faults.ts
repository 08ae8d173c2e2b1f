import { type Diagnostic, Fault, quote } from '../core/diagnostic.ts';
import type { AllowRule, Config, CredentialConfig } from './config.ts';
import type { Merged } from './merge.ts';
import { covers, receiverText } from './receivers.ts';
import type { Path } from './yaml-document.ts';

/** Rules that would send a credential elsewhere, in clear, or for anybody. */
export function checkCredentials(config: Config, merged: Merged, faults: Diagnostic[]): void {
  const byName = new Map(config.credentials.map((credential) => [credential.name, credential]));
  for (const [i, rule] of config.rules.entries()) {
    if (rule.effect === 'deny' || rule.with === undefined) continue;
    const credential = byName.get(rule.with);
    if (credential === undefined) continue;
    const add = (message: string, remedy: string, ...keys: Path) => {
      faults.push(new Fault(message, remedy).at(merged.at(['rules', i, ...keys])));
    };
    checkReceiver(rule, credential, config, add);
    if (rule.tls === 'off') {
      add('a credential goes over TLS only', 'remove tls: off, or the credential', 'tls');
    }
    const anybody = rule.principals.indexOf('anonymous');
    if (anybody >= 0) {
      const message = 'anybody could use the credential';
      add(message, 'name the principals that it is for', 'allow', anybody);
    }
    const owner = merged.fileOwner(['rules', i]);
    if (owner !== undefined) {
      const message = `a file of ${quote(owner)} cannot lend the gateway's credentials`;
      add(message, 'move the rule to the main file', 'with');
    }
  }
}

function checkReceiver(
  rule: AllowRule,
  { name, for: receiver }: CredentialConfig,
  { sets }: Config,
  add: (message: string, remedy: string, ...keys: Path) => void,
): void {
  if (receiver === undefined) return;
  for (const [i, pattern] of rule.to.entries()) {
    if (covers(receiver, pattern, sets)) continue;
    const text = receiverText(receiver);
    const message = `the credential ${quote(name)} is for ${text} alone`;
    add(message, `write to: [${text}], and another rule for the rest`, 'to', i);
  }
}
