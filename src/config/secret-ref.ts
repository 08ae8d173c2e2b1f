import { resolve } from 'node:path';
import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { AnySecretRef, Position, SecretRef } from './config.ts';
import { literalRef } from './literal-ref.ts';
import { line, notYet, parsed, says, section } from './shape.ts';

const IN_CLEAR = [
  'a secret does not stand here in clear',
  'write { env: NAME }, { file: PATH } or, where it must be, { literal: TEXT }',
] as const;

// Its own message: the general one would show the value.
const literal = z.string({
  error: says('a literal secret must be text', 'put it in quotes'),
});

const HELD = { env: line.optional(), file: line.optional(), literal: literal.optional() };

/** Where a secret comes from; what it is, is read when the gateway starts. */
export const secretRef = section(
  {
    ...HELD,
    ssm: notYet('ssm'),
    secretsManager: notYet('secretsManager'),
    vault: notYet('vault'),
  },
  IN_CLEAR,
).transform(({ env, file, literal }, context) => {
  const source = onlyOne({ env, file, literal });
  if (source !== undefined) return source;
  context.issues.push(manySources('env, file and literal'));
  return z.NEVER;
});

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html @throws Fault */
function parseParameter(text: string): string {
  if (/^[A-Za-z0-9_.\-/]{1,1011}(?::[A-Za-z0-9_.-]+)?$/.test(text)) return text;
  throw new Fault(`${quote(text)} is not the name of a parameter`, 'write /path/to/parameter');
}

/** `secret/orders`: the mount of the engine, and the path in it. @throws Fault */
function parseVaultPath(text: string): string {
  if (/^[^/\s]+(?:\/[^/\s]+)+$/.test(text) && !/(?:^|\/)\.\.?(?:\/|$)/.test(text)) return text;
  throw new Fault(`${quote(text)} is not the path of a secret`, 'write mount/path: secret/orders');
}

/** A secret that may also be kept where it changes while the gateway runs. */
export const anySecretRef = section(
  {
    ...HELD,
    ssm: parsed(parseParameter).optional(),
    secretsManager: section({ id: line, key: line.optional() }).optional(),
    vault: section({ path: parsed(parseVaultPath), key: line }).optional(),
  },
  IN_CLEAR,
).transform((written, context) => {
  const source = onlyOne(written);
  if (source !== undefined) return source;
  context.issues.push(manySources('env, file, ssm, secretsManager, vault and literal'));
  return z.NEVER;
});

/** What is written of a secret that is read at start. */
export type WrittenSecret = Partial<z.output<typeof secretRef>>;
export type WrittenAnySecret = z.output<typeof anySecretRef>;

/** The one source that is written; undefined where it is none or several. */
function onlyOne<Written extends object>(written: Written): Written | undefined {
  const present = Object.entries(written).filter(([, value]) => value !== undefined);
  return present.length === 1 ? written : undefined;
}

function manySources(known: string) {
  const message = says('a secret has exactly one source', `write one of ${known}`);
  return { code: 'custom' as const, input: undefined, message };
}

/** @param base the folder of the file that names it */
export function toSecretRef(
  { env, file, literal }: WrittenSecret,
  at: Position,
  base: string,
): SecretRef {
  if (env !== undefined) return { from: 'env', variable: env, at };
  if (file !== undefined) return { from: 'file', path: resolve(base, file), at };
  return literalRef(literal as string, at);
}

/** @param multiline for a key in PEM, whose line breaks belong to it */
export function toAnySecretRef(
  written: WrittenAnySecret,
  at: Position,
  base: string,
  multiline?: 'multiline',
): AnySecretRef {
  const ref = toOneLineRef(written, at, base);
  return multiline === undefined ? ref : Object.assign(ref, { multiline: true });
}

function toOneLineRef(written: WrittenAnySecret, at: Position, base: string): AnySecretRef {
  const { ssm, secretsManager, vault } = written;
  if (ssm !== undefined) return { from: 'ssm', name: ssm, at };
  if (secretsManager !== undefined) {
    return { from: 'secretsManager', id: secretsManager.id, key: secretsManager.key, at };
  }
  if (vault !== undefined) return { from: 'vault', ...vault, at };
  return toSecretRef(written, at, base);
}
