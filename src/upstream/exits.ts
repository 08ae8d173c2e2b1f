import type { CredentialConfig, ExitConfig, SecretRef } from '../config/config.ts';
import type { Secret } from '../core/secret.ts';
import { Direct } from './direct.ts';
import type { ParentCredential } from './parent-credential.ts';
import { ParentProxy } from './parent-proxy.ts';
import type { WayOut } from './way-out.ts';

/** Where no exit is named: from whatever address the system picks. */
export const NO_EXIT: WayOut = new Direct('');

let made = 0;

/** The ways out of a configuration, by the names of their exits. */
export function compileExits(
  exits: readonly ExitConfig[],
  credentials: readonly CredentialConfig[],
  secret: (ref: SecretRef) => Secret,
): ReadonlyMap<string, WayOut> {
  // The configuration was checked: what an exit names is of this kind, and its password was read at start.
  const shown = (name: string): ParentCredential | undefined => {
    const kind = credentials.find((one) => one.name === name)?.kind;
    if (kind?.kind !== 'basic') return undefined;
    return { username: kind.username, password: secret(kind.password as SecretRef) };
  };
  return new Map(
    exits.map((exit): [string, WayOut] => {
      const id = `${exit.name} ${++made}`;
      if (exit.kind === 'local') return [exit.name, new Direct(id, exit.localAddresses)];
      const { parent } = exit;
      const credential = parent.credential === undefined ? undefined : shown(parent.credential);
      return [exit.name, new ParentProxy(id, parent, credential)];
    }),
  );
}
