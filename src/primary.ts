import { setTimeout as wait } from 'node:timers/promises';
import { type Admin, type AdminParts, startAdmin } from './admin/admin.ts';
import { type Readiness, startHealth } from './admin/health.ts';
import { keepToken } from './admin/token.ts';
import { explainExchange } from './admin/why.ts';
import { Custody } from './audit/custody.ts';
import { readSigningKey } from './audit/signing-key.ts';
import { AuditTrail } from './audit/trail.ts';
import type { Bind, SecretRef } from './config/config.ts';
import type { Secret } from './core/secret.ts';
import { FileWatch } from './file-watch.ts';
import type { PrimaryMetrics } from './metrics/primary.ts';
import { joinSnapshots, METRICS_CONTENT_TYPE } from './metrics/snapshot.ts';
import { ownCertificates, watchCertificates } from './own-certificates.ts';
import { ListFollower } from './published/follower.ts';
import { Reloads, type Started } from './reload.ts';
import { nativeOrigin, nativePart } from './tcp/addon.ts';
import { VERSION } from './version.ts';
import { auditDir, type PrimarySurroundings, type WorkerState, type Workers } from './workers.ts';

/** A gateway at work. */
export interface Primary {
  /** What each listener is bound to, with the ports that the system picked. */
  readonly listeners: ReadonlyMap<string, readonly Bind[]>;
  readonly admin: Bind;
  readonly health: Bind | undefined;
  /**
   * Puts the configuration as it now stands in force, for all exchanges from then on; where it has a fault, nothing
   * changes. Open tunnels that it no longer allows end, unless `gateway.onReload` is `keep`. Also happens by itself when a
   * file changes.
   *
   * @returns whether it is in force; what stood in the way is logged
   */
  reload(): Promise<boolean>;
  /** Goes on in new files where logs beside the record were moved away. */
  reopenLogs(): Promise<void>;
  /**
   * Drains: readiness fails at once, accepting goes on for `gateway.drain.notice`, exchanges finish within
   * `gateway.drain.limit`. A second call waits for the same end.
   *
   * @param options `notice: false` where no balancer has to move away first
   */
  stop(options?: { notice: boolean }): Promise<void>;
  readonly stopped: Promise<void>;
}

/** What the primary is made of: all of a gateway that does not serve exchanges. */
interface Parts {
  readonly workers: Workers;
  readonly surroundings: PrimarySurroundings;
  readonly metrics: PrimaryMetrics;
  readonly reloads: Reloads;
  /** In the order in which they were started. */
  readonly running: { close(): Promise<void> }[];
  custody: Custody | undefined;
  readonly lists: ListFollower;
  /** What is listened on. */
  readonly bound: { admin?: Bind; listeners: ReadonlyMap<string, readonly Bind[]> };
  state: 'starting' | 'accepting' | 'draining';
}

/**
 * Starts everything around the workers: first what an exchange needs, last what accepts clients. What was started before a
 * fault is stopped again, the workers included.
 *
 * @throws SekishoError naming what cannot be had: the audit directory, an address to bind
 */
export async function startPrimary(
  started: Started,
  workers: Workers,
  surroundings: PrimarySurroundings,
  metrics: PrimaryMetrics,
): Promise<Primary> {
  metrics.watchWorkers(() => workers.states());
  const { log } = surroundings;
  const reloads = new Reloads(started, { workers, metrics, ...surroundings });
  const parts: Parts = {
    workers,
    surroundings,
    metrics,
    reloads,
    lists: new ListFollower({ reloads, log, metrics }),
    running: [],
    custody: undefined,
    bound: { listeners: new Map() },
    state: 'starting',
  };
  metrics.watchEndings(() => {
    const { config } = parts.reloads.inForce;
    return { certificates: ownCertificates(config), credentials: config.credentials };
  });
  try {
    return await startParts(parts);
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
}

async function startParts(parts: Parts): Promise<Primary> {
  const { workers, surroundings, reloads, running } = parts;
  const { log, reread } = surroundings;
  const { config, digest } = reloads.inForce;
  const readiness: Readiness = () => [
    { name: parts.state, ok: parts.state === 'accepting' },
    {
      name: 'no worker accepts',
      ok: parts.state !== 'accepting' || workers.states().some(accepts),
    },
  ];
  const custody = await openCustody(parts);
  parts.custody = custody;
  workers.onLost(() => void custody.writerLost());
  const admin = await openAdmin(parts, readiness);
  running.push(admin);
  parts.bound.admin = admin.bind;
  const { health: healthBind } = config.gateway;
  const health = healthBind && (await startHealth(healthBind, readiness));
  if (health !== undefined) running.push(health);

  const own = [admin.bind, ...(health === undefined ? [] : [health.bind])];
  const listeners = await workers.start(own);
  parts.bound.listeners = listeners;
  for (const [listener, binds] of listeners)
    log.info({ listener, addresses: binds.map(bindText) }, 'listening');
  parts.state = 'accepting';
  const native = nativePart();
  if ('obstacle' in native)
    log.info({ why: native.obstacle }, 'no native part: sockets and tunnels are Node’s own');
  else log.info({ native: native.origin }, 'sockets and tunnels are native');
  log.info({ admin: bindText(admin.bind), policy: digest }, 'ready');
  if (reread !== undefined) running.push(watchFiles(reloads));
  running.push(watchCertificates(() => reloads.inForce.config, log));
  parts.lists.start();
  running.push(parts.lists);

  const stopped = Promise.withResolvers<void>();
  return {
    listeners,
    admin: admin.bind,
    health: health?.bind,
    reload: async () => parts.state === 'accepting' && reloads.reload(),
    reopenLogs: () => workers.reopenLogs(),
    stop(options) {
      if (parts.state === 'accepting') drain(parts, options).then(stopped.resolve, stopped.reject);
      return stopped.promise;
    },
    stopped: stopped.promise,
  };
}
function bindText({ host, port }: Bind): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function accepts({ state }: WorkerState): boolean {
  return state === 'accepting';
}

async function openAdmin(parts: Parts, readiness: Readiness): Promise<Admin> {
  const { reloads } = parts;
  const { admin, gateway } = reloads.inForce.config;
  const kept = admin.token === undefined ? await keepToken(gateway.dataDir) : undefined;
  const token = () => {
    const { config, secret } = reloads.inForce;
    return kept ?? secret(config.admin.token as SecretRef);
  };
  return startAdmin(admin.bind, adminParts(parts, readiness, token));
}

function adminParts(parts: Parts, readiness: Readiness, token: () => Secret): AdminParts {
  const { workers, metrics, reloads, surroundings } = parts;
  const { config } = reloads.inForce;
  const trail = new AuditTrail(auditDir(config), workers, Date.now);
  const startedAt = new Date().toISOString();
  return {
    token,
    readiness,
    metrics: {
      contentType: METRICS_CONTENT_TYPE,
      text: async () => joinSnapshots([await metrics.snapshot(), ...(await workers.metrics())]),
    },
    trail,
    why: async (id: string) => {
      const events = await trail.find(id);
      if (events.length === 0) return undefined;
      const { policy, contact, digest } = reloads.inForce;
      return explainExchange(events, { policy, digest, contact, now: Date.now() });
    },
    status: () => ({
      gateway: config.gateway.name,
      version: VERSION,
      state: parts.state,
      policy: reloads.inForce.digest,
      policyLoadedAt: reloads.loadedAt.toISOString(),
      startedAt,
      nativeTunnel: nativeOrigin() ?? null,
      workers: workers.states(),
      lists: parts.lists.status(),
      ...whereabouts(parts),
    }),
    log: surroundings.log,
  };
}

function whereabouts({ bound, custody }: Parts) {
  const checkpointedMs = custody?.checkpointedMs;
  return {
    listeners: Object.fromEntries(
      [...bound.listeners].map(([name, at]) => [name, at.map(bindText)]),
    ),
    admin: bound.admin === undefined ? '' : bindText(bound.admin),
    checkpointedAt: checkpointedMs === undefined ? null : new Date(checkpointedMs).toISOString(),
  };
}

function openCustody({ workers, metrics, reloads, surroundings }: Parts): Promise<Custody> {
  const { config } = reloads.inForce;
  const { checkpoint, keepMs } = config.audit;
  return Custody.open({
    dir: auditDir(config),
    gateway: config.gateway.name,
    keepMs,
    checkpoint: checkpoint && { ...checkpoint, key: readSigningKey(checkpoint.key) },
    writers: workers,
    now: Date.now,
    log: surroundings.log,
    meter: metrics,
  });
}

/** Reloads whenever a file changes that the configuration in force was read from. */
function watchFiles(reloads: Reloads): { close(): Promise<void> } {
  const watch = new FileWatch(() => {
    void reloads.reload().then(() => watch.watch(reloads.loaded));
  });
  watch.watch(reloads.loaded);
  return { close: async () => watch.close() };
}

async function drain(parts: Parts, { notice } = { notice: true }): Promise<void> {
  const { noticeMs, limitMs } = parts.reloads.inForce.config.gateway.drain;
  parts.state = 'draining';
  parts.workers.leave();
  // Balancers see readiness fail and move away while connections that they still send are served.
  if (notice) await wait(noticeMs);
  await parts.workers.drain(limitMs);
  await closeParts(parts);
}

async function closeParts({ workers, running, custody }: Parts): Promise<void> {
  await workers.drain(0);
  await Promise.all(running.map((part) => part.close()));
  await workers.close();
  await custody?.close();
}
