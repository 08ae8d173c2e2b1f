import type { Config, ExitConfig } from '../config/config.ts';
import { resolvesAtParent } from '../config/exit-faults.ts';
import { hostText } from '../core/destination.ts';
import { SekishoError } from '../core/errors.ts';
import { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
import { UpstreamError } from '../core/refusal.ts';
import type { Resolver } from '../destination/resolver.ts';
import { nothingOwn } from '../policy/address.ts';
import { readSecret } from '../secret/read.ts';
import { askEcho, type Echo } from '../upstream/echo.ts';
import { compileExits } from '../upstream/exits.ts';
import type { DialTerms, WayOut } from '../upstream/way-out.ts';

/** One question to the world: as whom does it see what leaves there? */
export interface ExitProbe {
  readonly exit: ExitConfig;
  /** The local address that it leaves from, or the parent proxy. */
  readonly leaves: string;
  /** Of the local address; a parent leaves by whichever it likes. */
  readonly family: 4 | 6 | undefined;
  readonly way: WayOut;
}

export interface ExitFinding {
  readonly exit: string;
  readonly leaves: string;
  /** `unstated`: `public` names no address to compare with. */
  readonly status: 'ok' | 'differs' | 'unreachable' | 'unstated';
  readonly seen: Ip | null;
  readonly public: readonly Ip[];
  /** Why nobody was reached. */
  readonly detail?: string;
}

/** A probe for each local address and each parent proxy. @throws ConfigError where a credential cannot be read */
export function exitProbes(
  exits: readonly ExitConfig[],
  { credentials }: Config,
  env: NodeJS.ProcessEnv,
): ExitProbe[] {
  const wanted = new Set(exits.map((exit) => exit.kind === 'parent' && exit.parent.credential));
  const shown = credentials.filter(({ name }) => wanted.has(name));
  const ofFamilies = exits.flatMap((exit): ExitConfig[] =>
    exit.kind === 'parent'
      ? [exit]
      : exit.localAddresses.map((ip) => ({ ...exit, localAddresses: [ip] })),
  );
  return ofFamilies.map((exit): ExitProbe => {
    const ways = compileExits([exit], shown, (ref) => readSecret(ref, { env }));
    const way = ways.get(exit.name) as WayOut;
    if (exit.kind === 'parent') {
      const { host, port } = exit.parent;
      return { exit, leaves: `${hostText(host)}:${port}`, family: undefined, way };
    }
    const [ip] = exit.localAddresses as [Ip];
    return { exit, leaves: ip.text, family: ip.family, way };
  });
}

const TIMEOUT_MS = 10_000;

/** Whatever stands in the way is the finding. */
export async function probeExit(
  { exit, leaves, family, way }: ExitProbe,
  echo: Echo,
  resolver: Resolver,
): Promise<ExitFinding> {
  const told = { exit: exit.name, leaves, public: exit.public };
  const terms: DialTerms = {
    timeoutMs: TIMEOUT_MS,
    idleMs: TIMEOUT_MS,
    trail: undefined,
    parents: { resolver, own: nothingOwn },
  };
  try {
    const addresses = await echoAddresses(exit, echo, family, resolver);
    const seen = await askEcho(way, echo, addresses, terms);
    const stated = exit.public.filter((ip) => family === undefined || ip.family === family);
    const isStated = stated.some((ip) => ip.equals(seen));
    const status = isStated ? 'ok' : stated.length > 0 ? 'differs' : 'unstated';
    return { ...told, status, seen };
  } catch (error) {
    if (!(error instanceof SekishoError)) throw error;
    return { ...told, status: 'unreachable', seen: null, detail: error.message };
  }
}

async function echoAddresses(
  exit: ExitConfig,
  { host }: Echo,
  family: ExitProbe['family'],
  resolver: Resolver,
): Promise<readonly Ip[]> {
  if (host instanceof Hostname && resolvesAtParent(exit)) return [];
  const all = host instanceof Hostname ? await resolver.resolve(host) : [host];
  const usable = all.filter((ip) => family === undefined || ip.family === family);
  if (usable.length > 0) return usable;
  const message = `${hostText(host)} has no IPv${family} address: name another echo with --echo`;
  throw new UpstreamError('connect-failed', message);
}
