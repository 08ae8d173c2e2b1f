import type { z } from 'zod';
import type { CredentialKind } from '../config.ts';
import { basicKind } from './basic.ts';
import { githubAppKind } from './github-app.ts';
import { headerKind } from './header.ts';
import { hmacKind } from './hmac.ts';
import type { Place } from './kind.ts';
import { oauth2Kind } from './oauth2.ts';
import { pathKind } from './path.ts';
import { queryKind } from './query.ts';
import { sigv4Kind } from './sigv4.ts';

/** By the key that a credential of the kind is written with. */
export const KINDS = {
  basic: basicKind,
  header: headerKind,
  query: queryKind,
  path: pathKind,
  sigv4: sigv4Kind,
  oauth2: oauth2Kind,
  githubApp: githubAppKind,
  hmac: hmacKind,
} as const;

export type KindKey = keyof typeof KINDS;
export const KIND_KEYS = Object.keys(KINDS) as KindKey[];

export type WrittenKinds = {
  [Key in KindKey]?: z.output<(typeof KINDS)[Key]['schema']> | undefined;
};

export function toKind<Key extends KindKey>(
  key: Key,
  written: WrittenKinds,
  { path, merged }: Place,
): CredentialKind {
  const { toKind } = KINDS[key] as {
    toKind(value: WrittenKinds[Key], place: Place): CredentialKind;
  };
  return toKind(written[key], { path: [...path, key], merged });
}
