import type { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { Refusal } from '../core/refusal.ts';
import { basic } from './basic.ts';
import type { CredentialConfig } from './config.ts';
import type { Merged } from './merge.ts';
import { toSecretRef } from './secret-ref.ts';
import { named, notYet, parsed, section } from './shape.ts';

/** The one host that a credential is for. @throws Fault */
function parseReceiver(text: string): Hostname | Ip {
  try {
    return Ip.parse(text) ?? Hostname.parseWritten(text);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Fault(
      `${quote(text)} is not a host: ${error.message}`,
      'write the one host that it is for, without scheme and port',
    );
  }
}

const credential = section({
  for: parsed(parseReceiver, 'The only host that it is ever sent to.'),
  basic,
  header: notYet('header'),
  convention: notYet('convention'),
  prefix: notYet('prefix'),
  sigv4: notYet('sigv4'),
});

export const credentialsSchema = named(credential).prefault({});

export function toCredentials(
  written: z.output<typeof credentialsSchema>,
  merged: Merged,
): CredentialConfig[] {
  return Object.entries(written).map(([name, { for: receiver, basic }]) => {
    const path = ['credentials', name];
    const at = merged.at([...path, 'basic', 'password']);
    const password = toSecretRef(basic.password, at, merged.folder(path));
    return {
      name,
      for: receiver,
      basic: { username: basic.username, password },
      at: merged.at(path, 'key'),
    };
  });
}
