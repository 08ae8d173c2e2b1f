import { type Balancer, startBalancer } from './balancer.ts';
import { GatewaySlot } from './gateway-slot.ts';
import { type Load, startLoad, type Tally } from './load.ts';
import { startHttpUpstream } from './upstreams.ts';

export interface Upgrade {
  /** An empty folder. */
  readonly dir: string;
  /** Folders with the package installed: the version before, and the one after. */
  readonly from: string;
  readonly to: string;
  /** Clients of each kind, and how long each waits between two requests. */
  readonly clients: number;
  readonly pauseMs: number;
  /** Requests and tunnels that pass before, between and after the restarts. */
  readonly between: { readonly requests: number; readonly tunnels: number };
}

export interface Upgraded {
  readonly tally: Readonly<Tally>;
  /** By gateway: what `sekisho audit verify` of the new version says of the record, and its exit code. */
  readonly records: readonly { readonly code: number | null; readonly text: string }[];
  /** By gateway: exchanges that the new version finds in the record with an outcome. */
  readonly outcomes: readonly number[];
}

/**
 * Puts another version under two gateways behind HAProxy, one after the other, while clients go on asking: SIGTERM, wait
 * for the end, start the other version on the same folder, wait until the balancer has seen it.
 */
export async function upgradeUnderLoad(upgrade: Upgrade): Promise<Upgraded> {
  const upstream = await startHttpUpstream();
  const gateways = [
    await GatewaySlot.prepare(upgrade.dir, 'a', upstream.port),
    await GatewaySlot.prepare(upgrade.dir, 'b', upstream.port),
  ];
  let tally: Tally;
  try {
    for (const gateway of gateways) await gateway.start(upgrade.from);
    tally = await replaceBehindBalancer(gateways, upgrade, `api.localhost:${upstream.port}`);
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  } finally {
    for (const gateway of gateways) gateway.kill();
    await upstream.close();
  }
  return {
    tally,
    records: await Promise.all(gateways.map((gateway) => gateway.verify(upgrade.to))),
    outcomes: await Promise.all(gateways.map((gateway) => gateway.outcomes(upgrade.to))),
  };
}

async function replaceBehindBalancer(
  gateways: readonly GatewaySlot[],
  upgrade: Upgrade,
  authority: string,
): Promise<Tally> {
  const balancer = await startBalancer(gateways);
  try {
    for (const { name } of gateways) await balancer.up(name);
    const { clients, pauseMs } = upgrade;
    const load = startLoad({ port: balancer.port, authority, clients, pauseMs });
    await replaceAll(gateways, upgrade, balancer, load).finally(() => load.stop());
    return load.tally;
  } finally {
    await balancer.stop();
  }
}

async function replaceAll(
  gateways: readonly GatewaySlot[],
  { to, between: { requests, tunnels } }: Upgrade,
  balancer: Balancer,
  load: Load,
): Promise<void> {
  await load.more(requests, tunnels);
  for (const gateway of gateways) {
    await gateway.stop();
    await gateway.start(to);
    await balancer.up(gateway.name);
    await load.more(requests, tunnels);
  }
}
