import { openSegments } from './audit/audit.ts';
import { RecentExchanges } from './audit/recent.ts';
import { Recorder } from './audit/recorder.ts';
import { SquidLog } from './audit/squid-log.ts';
import { Leaves } from './authority/leaves.ts';
import type { Environment } from './config/surroundings.ts';
import { createCredentials } from './credential-sources.ts';
import { type BoundAddress, createOwnAddresses } from './destination/own-addresses.ts';
import { createResolver } from './destination/resolver.ts';
import type { InForce } from './in-force.ts';
import type { Logger } from './log.ts';
import { WorkerMetrics } from './metrics/worker.ts';
import { Ongoing } from './ongoing.ts';
import { OpenTunnels } from './open-tunnels.ts';
import { nativeOrigin } from './tcp/addon.ts';
import { startTelemetry } from './telemetry.ts';
import { HttpPool } from './upstream/pool.ts';
import { auditDir, type Peers } from './workers.ts';

/** Kept HTTP connections: enough for bursts, and let go before common servers let go of theirs. */
const POOL_LIMITS = { perKey: 64, total: 2_048, idleMs: 4_000 };

export interface PartsOptions {
  readonly log: Logger;
  /** What secrets elsewhere are found by. */
  readonly env: Environment;
  readonly peers: Peers;
  /** Of this worker, from 1 on. */
  readonly number: number;
}

/** What serves exchanges is made of. Built once; `inForce` alone is replaced, by a reload. */
export type Parts = Awaited<ReturnType<typeof buildParts>>;

/** @throws SekishoError naming what cannot be had: the audit directory, a log */
export async function buildParts(inForce: InForce, { log, env, peers, number }: PartsOptions) {
  const { config, digest } = inForce;
  const { name, resolvers } = config.gateway;
  const { onFailure, also, durability } = config.audit;
  log.level = config.gateway.log;
  const metrics = new WorkerMetrics(`worker-${number}`);
  const telemetry = await startTelemetry(inForce, { metrics, log });
  const now = Date.now;
  const writer = await openSegments({
    dir: auditDir(config),
    gateway: name,
    policy: digest,
    durability,
    now,
    log,
    meter: metrics.record,
  });
  const recent = new RecentExchanges();
  const recorder = new Recorder(
    {
      gateway: name,
      writer,
      recent,
      meter: telemetry,
      now,
      elapsed: () => performance.now(),
      writers: peers.count,
    },
    { policy: digest, owned: config.networks.owned, onFailure },
  );
  const squidLogs = await Promise.all(
    also.map(({ squidLog: path }) =>
      SquidLog.open({ path, log, lost: (lines) => metrics.record.squidLinesLost(lines) }),
    ),
  );
  for (const squidLog of squidLogs) recorder.onEvent((event) => squidLog.add(event));

  const resolver = createResolver({ servers: resolvers, meter: metrics.dns });
  const pool = new HttpPool(POOL_LIMITS);
  metrics.watch({ resolver, pool, writer });
  metrics.waysOut.nativeTunnel(nativeOrigin());
  const bound: BoundAddress[] = [];
  const own = createOwnAddresses({ listeners: () => bound });
  return {
    /** What it was started with: the parts that are built once. What holds now is `inForce`. */
    config,
    inForce,
    log,
    peers,
    metrics,
    telemetry,
    writer,
    recorder,
    recent,
    squidLogs,
    resolver,
    /** All that the gateway listens on, this process or another of it. */
    bound,
    now,
    tunnels: new OpenTunnels(own),
    exchanges: new Ongoing(),
    own,
    /** Whether a drain is about to follow, or under way. */
    leaving: false,
    pool,
    leaves: new Leaves(now),
    credentials: createCredentials(env, metrics.credentials, log),
  };
}
