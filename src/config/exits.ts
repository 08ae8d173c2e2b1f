import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { Ip } from '../core/ip.ts';
import type { ExitConfig } from './config.ts';
import type { Merged } from './merge.ts';
import { parseAddress } from './networks.ts';
import { list, named, notYet, parsed, says, section } from './shape.ts';
import type { Surroundings } from './surroundings.ts';

/** What exits take from outside the configuration. */
export type ExitSurroundings = Pick<Surroundings, 'env' | 'unsetExit'>;

/** @throws Fault */
function addressFromEnv(variable: string, { env, unsetExit }: ExitSurroundings): Ip {
  const text = env[variable]?.trim();
  if (text) return parseAddress(text);
  if (unsetExit !== undefined) return unsetExit;
  throw new Fault(`the environment has no ${quote(variable)}`, 'set it to an address of this host');
}

export function exitsSchema(around: ExitSurroundings) {
  const fromEnv = section({ env: parsed((variable) => addressFromEnv(variable, around)) }, [
    'this is neither an address nor a variable',
    'write an IP address or { env: NAME }',
  ]).transform(({ env }) => env);
  const exit = section({
    localAddress: z.union([parsed(parseAddress), fromEnv]).optional(),
    public: list(parsed(parseAddress)).optional(),
    parentProxy: notYet('parentProxy'),
  }).transform((exit, context) => {
    if (exit.localAddress !== undefined) {
      return { localAddress: exit.localAddress, public: exit.public ?? [] };
    }
    context.issues.push({
      code: 'custom',
      input: exit,
      message: says('an exit without localAddress leads nowhere', 'write localAddress'),
    });
    return z.NEVER;
  });
  return named(exit).prefault({});
}

export function toExits(
  written: z.output<ReturnType<typeof exitsSchema>>,
  merged: Merged,
): ExitConfig[] {
  return Object.entries(written).map(([name, exit]) => ({
    name,
    ...exit,
    at: merged.at(['exits', name], 'key'),
  }));
}
