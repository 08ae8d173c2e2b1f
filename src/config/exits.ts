import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { Ip } from '../core/ip.ts';
import type { ExitConfig } from './config.ts';
import type { Merged } from './merge.ts';
import type { Names } from './names.ts';
import { parseAddress } from './networks.ts';
import { parentProxySchema, toParentProxy } from './parent-proxy.ts';
import { ALWAYS, list, named, oneOrMore, parsed, says, section } from './shape.ts';
import type { FileReader, Surroundings } from './surroundings.ts';

/** What exits take from outside the configuration. */
export type ExitSurroundings = Pick<Surroundings, 'env' | 'unsetExit'>;

/** @throws Fault */
function addressFromEnv(variable: string, { env, unsetExit }: ExitSurroundings): Ip {
  const text = env[variable]?.trim();
  if (text) return parseAddress(text);
  if (unsetExit !== undefined) return unsetExit;
  throw new Fault(`the environment has no ${quote(variable)}`, 'set it to an address of this host');
}

function localAddressSchema(around: ExitSurroundings) {
  const fromEnv = section({ env: parsed((variable) => addressFromEnv(variable, around)) }, [
    'this is neither an address nor a variable',
    'write an IP address or { env: NAME }',
  ]).transform(({ env }) => env);
  const addresses = oneOrMore(z.union([parsed(parseAddress), fromEnv]));
  return addresses.refine(
    (ips) => {
      const families = ips.filter((ip) => ip !== around.unsetExit).map(({ family }) => family);
      return new Set(families).size === families.length;
    },
    {
      error: says(
        'an exit leaves from one address of each family',
        'make an exit for each address, or write one IPv4 and one IPv6 address',
      ),
    },
  );
}

export function exitsSchema(names: Names, around: ExitSurroundings) {
  const exit = section({
    localAddress: localAddressSchema(around).optional(),
    public: list(parsed(parseAddress)).optional(),
    parentProxy: parentProxySchema(names).optional(),
  }).superRefine((exit, context) => {
    const message = wayFault(exit);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  }, ALWAYS);
  return named(exit).prefault({});
}

function wayFault(exit: Readonly<Record<string, unknown>>): string | undefined {
  const { localAddress, parentProxy } = exit;
  if ((localAddress === undefined) !== (parentProxy === undefined)) return undefined;
  return localAddress === undefined
    ? says('this exit leads nowhere', 'write localAddress or parentProxy')
    : says('an exit cannot lead two ways', 'keep one of localAddress and parentProxy');
}

/** @param reader reads the certificates that parents are verified by, and takes the faults in them */
export function toExits(
  written: z.output<ReturnType<typeof exitsSchema>>,
  merged: Merged,
  reader: FileReader,
): ExitConfig[] {
  return Object.entries(written).map(([name, exit]): ExitConfig => {
    const { localAddress = [], parentProxy } = exit;
    const path = ['exits', name];
    const base = { name, public: exit.public ?? [], at: merged.at(path, 'key') };
    if (parentProxy === undefined) {
      return { ...base, kind: 'local', localAddresses: localAddress };
    }
    const caAt = () => merged.at([...path, 'parentProxy', 'tls', 'ca', 'file']);
    return { ...base, kind: 'parent', parent: toParentProxy(parentProxy, caAt, reader) };
  });
}
