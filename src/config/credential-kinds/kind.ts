import type { z } from 'zod';
import type { AnySecretRef, CredentialKind } from '../config.ts';
import type { Merged } from '../merge.ts';
import { toAnySecretRef, type WrittenAnySecret } from '../secret-ref.ts';
import type { Path } from '../yaml-document.ts';

/** Where a credential is written. */
export interface Place {
  readonly path: Path;
  readonly merged: Merged;
}

/** One kind of credential: what may be written under its key, and the value that is made of it. */
export interface Kind<Schema extends z.ZodType> {
  readonly schema: Schema;
  /** @param place of what is under the key */
  toKind(written: z.output<Schema>, place: Place): CredentialKind;
}

export function kind<Schema extends z.ZodType>(definition: Kind<Schema>): Kind<Schema> {
  return definition;
}

/** A secret that stands under `key`. */
export function refAt(
  written: WrittenAnySecret,
  { path, merged }: Place,
  key: string,
  multiline?: 'multiline',
): AnySecretRef {
  return toAnySecretRef(written, merged.at([...path, key]), merged.folder(path), multiline);
}
