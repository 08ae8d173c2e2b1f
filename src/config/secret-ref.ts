import { resolve } from 'node:path';
import { z } from 'zod';
import type { Position, SecretRef } from './config.ts';
import { literalRef } from './literal-ref.ts';
import { line, notYet, says, section } from './shape.ts';

const IN_CLEAR = [
  'a secret does not stand here in clear',
  'write { env: NAME }, { file: PATH } or, where it must be, { literal: TEXT }',
] as const;

// Its own message: the general one would show the value.
const literal = z.string({
  error: says('a literal secret must be text', 'put it in quotes'),
});

/** Where a secret comes from; what it is, is read when the gateway starts. */
export const secretRef = section(
  {
    env: line.optional(),
    file: line.optional(),
    literal: literal.optional(),
    ssm: notYet('ssm'),
    secretsManager: notYet('secretsManager'),
    vault: notYet('vault'),
  },
  IN_CLEAR,
).transform(({ env, file, literal }, context) => {
  if (env !== undefined && file === undefined && literal === undefined) return { env };
  if (file !== undefined && env === undefined && literal === undefined) return { file };
  if (literal !== undefined && env === undefined && file === undefined) return { literal };
  context.issues.push({
    code: 'custom',
    input: undefined,
    message: says('a secret has exactly one source', 'write one of env, file and literal'),
  });
  return z.NEVER;
});

/** @param base the folder of the file that names it */
export function toSecretRef(
  written: z.output<typeof secretRef>,
  at: Position,
  base: string,
): SecretRef {
  if ('env' in written) return { from: 'env', variable: written.env, at };
  if ('file' in written) return { from: 'file', path: resolve(base, written.file), at };
  return literalRef(written.literal, at);
}
