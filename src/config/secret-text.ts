import { z } from 'zod';
import type { SecretText } from './config.ts';
import type { Merged } from './merge.ts';
import { anySecretRef, toAnySecretRef, type WrittenAnySecret } from './secret-ref.ts';
import { list, says } from './shape.ts';
import type { Path } from './yaml-document.ts';

const plain = z.string().refine((text) => !/[\p{Cc}\u2028\u2029]/u.test(text), {
  error: says('this must be one line of text', 'remove control characters'),
});

/** A secret, or a list of texts and secrets that are put one behind the other: `["token ", { env: TOKEN }]`. */
export const secretText = z
  .union([list(z.union([plain, anySecretRef])), anySecretRef])
  .transform((written) => (Array.isArray(written) ? written : [written]))
  .refine((parts) => parts.some((part) => typeof part !== 'string'), {
    error: says('there is no secret in this', 'put one in: { env: NAME }'),
  });

/** @param path where it is written */
export function toSecretText(
  written: readonly (string | WrittenAnySecret)[],
  path: Path,
  merged: Merged,
): SecretText {
  const folder = merged.folder(path);
  const at = merged.at(path);
  return written.map((part) =>
    typeof part === 'string' ? part : toAnySecretRef(part, at, folder),
  );
}
