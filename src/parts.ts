import { join } from 'node:path';
import { Metrics } from './admin/metrics.ts';
import { keepToken } from './admin/token.ts';
import { openAudit } from './audit/audit.ts';
import { RecentExchanges } from './audit/recent.ts';
import { Recorder } from './audit/recorder.ts';
import { readSigningKey } from './audit/signing-key.ts';
import { SquidLog } from './audit/squid-log.ts';
import { AuditTrail } from './audit/trail.ts';
import type { Loaded } from './config/load.ts';
import { type BoundAddress, createOwnAddresses } from './destination/own-addresses.ts';
import { createResolver } from './destination/resolver.ts';
import { putTogether } from './in-force.ts';
import type { ForwardProxyListener } from './listener/forward-proxy/listener.ts';
import type { Logger } from './log.ts';
import { Ongoing } from './ongoing.ts';
import { OpenTunnels } from './open-tunnels.ts';
import { HttpPool } from './upstream/pool.ts';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** Loads the configuration again. Without it the gateway keeps what it started with. */
  readonly loadAgain?: () => Loaded;
}

/** Kept HTTP connections: enough for bursts, and let go before common servers let go of theirs. */
const POOL_LIMITS = { perKey: 64, total: 2_048, idleMs: 4_000 };

/** What a gateway is made of. Built once; `inForce` alone is replaced, by a reload. */
export type Parts = Awaited<ReturnType<typeof buildParts>>;

/** @throws SekishoError naming what cannot be had: a secret, the audit directory */
export async function buildParts(loaded: Loaded, surroundings: Surroundings) {
  const { config, digest } = loaded;
  const { log } = surroundings;
  const { name, dataDir, resolvers } = config.gateway;
  const inForce = putTogether(loaded, surroundings.env);
  const metrics = new Metrics();
  metrics.policyLoaded(digest, Date.now());

  const { onFailure, checkpoint, also, ...audit } = config.audit;
  const auditDir = join(dataDir, 'audit');
  const now = Date.now;
  const writer = await openAudit({
    ...audit,
    dir: auditDir,
    gateway: name,
    policy: digest,
    checkpoint: checkpoint && { ...checkpoint, key: readSigningKey(checkpoint.key) },
    now,
    log,
    meter: metrics,
  });
  const recent = new RecentExchanges();
  const recorder = new Recorder(
    { gateway: name, writer, recent, meter: metrics, now, elapsed: () => performance.now() },
    { policy: digest, owned: config.networks.owned, onFailure },
  );

  const squidLogs = await Promise.all(
    also.map(({ squidLog: path }) =>
      SquidLog.open({ path, log, lost: (lines) => metrics.squidLinesLost(lines) }),
    ),
  );
  for (const squidLog of squidLogs) recorder.onEvent((event) => squidLog.add(event));

  const { token } = config.admin;
  const resolver = createResolver({ servers: resolvers });
  metrics.watchResolver(() => resolver.stats);
  const bound: BoundAddress[] = [];
  const own = createOwnAddresses({ listeners: () => bound });
  return {
    /** What it was started with: the parts that are built once. What holds now is `inForce`. */
    config,
    inForce,
    surroundings,
    log,
    metrics,
    writer,
    recorder,
    squidLogs,
    resolver,
    bound,
    now,
    tunnels: new OpenTunnels(own),
    exchanges: new Ongoing(),
    trail: new AuditTrail(auditDir, recent, now),
    own,
    pool: new HttpPool(POOL_LIMITS),
    adminToken: token === undefined ? await keepToken(dataDir) : inForce.secret(token),
    /** In the order in which they were started. */
    running: [] as { close(): Promise<void> }[],
    listeners: [] as ForwardProxyListener[],
    state: 'starting' as 'starting' | 'accepting' | 'draining',
  };
}
