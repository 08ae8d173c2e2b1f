import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startAdmin } from './admin/admin.ts';
import { type Readiness, startHealth } from './admin/health.ts';
import { Metrics } from './admin/metrics.ts';
import { ownPage } from './admin/own-pages.ts';
import { keepToken } from './admin/token.ts';
import { explainExchange } from './admin/why.ts';
import { openAudit } from './audit/audit.ts';
import type { AuditEvent } from './audit/event.ts';
import { RecentExchanges } from './audit/recent.ts';
import { Recorder } from './audit/recorder.ts';
import { parseSigningKey } from './audit/signing-key.ts';
import { SquidLog } from './audit/squid-log.ts';
import { AuditTrail } from './audit/trail.ts';
import type { Bind, ListenerConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import type { Grant } from './core/conversation.ts';
import { SekishoError } from './core/errors.ts';
import { Ip } from './core/ip.ts';
import { type BoundAddress, createOwnAddresses } from './destination/own-addresses.ts';
import { createResolver } from './destination/resolver.ts';
import { type Gate, type Permit, runExchange } from './exchange.ts';
import { putTogether } from './in-force.ts';
import { ForwardProxyListener, type ListenerEvents } from './listener/forward-proxy/listener.ts';
import type { Logger } from './log.ts';
import { Ongoing } from './ongoing.ts';
import { OpenTunnels } from './open-tunnels.ts';
import { countChanges, FileWatch, prepare } from './reload.ts';
import type { Channel } from './stream/channel.ts';
import { UpstreamGrant } from './upstream/grants.ts';
import { HttpPool } from './upstream/pool.ts';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** Loads the configuration again. Without it the gateway keeps what it started with. */
  readonly loadAgain?: () => Loaded;
}

/** A gateway at work. */
export interface Gateway {
  /** What each listener is bound to, with the ports that the system picked. */
  readonly listeners: ReadonlyMap<string, readonly Bind[]>;
  readonly admin: Bind;
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
  /** Calls with every event, once it is on record. */
  onAuditEvent(listener: (event: AuditEvent) => void): void;
  /**
   * Drains: readiness fails at once, accepting goes on for `gateway.drain.notice`, exchanges finish within
   * `gateway.drain.limit`. A second call waits for the same end.
   *
   * @param options `notice: false` where no balancer has to move away first
   */
  stop(options?: { notice: boolean }): Promise<void>;
  readonly stopped: Promise<void>;
}

/** Kept HTTP connections: enough for bursts, and let go before common servers let go of theirs. */
const POOL_LIMITS = { perKey: 64, total: 2_048, idleMs: 4_000 };

/**
 * Builds the parts from a configuration and starts them: first what an exchange needs, last what accepts clients. What
 * was started before a fault is stopped again.
 *
 * @throws SekishoError naming what cannot be had: a secret, the audit directory, an address to bind
 */
export async function startGateway(loaded: Loaded, surroundings: Surroundings): Promise<Gateway> {
  const parts = await buildParts(loaded, surroundings);
  try {
    return await startParts(parts);
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
}

type Parts = Awaited<ReturnType<typeof buildParts>>;

async function buildParts(loaded: Loaded, surroundings: Surroundings) {
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
    checkpoint: checkpoint && {
      ...checkpoint,
      key: parseSigningKey(inForce.secret(checkpoint.key)),
    },
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

async function startParts(parts: Parts): Promise<Gateway> {
  const { config, log, bound } = parts;
  const readiness: Readiness = () => [{ name: parts.state, ok: parts.state === 'accepting' }];
  const admin = await startAdmin(config.admin.bind, adminParts(parts, readiness));
  parts.running.push(admin);
  bound.push(boundAddress(admin.bind));
  if (config.gateway.health !== undefined) {
    const health = await startHealth(config.gateway.health, readiness);
    parts.running.push(health);
    bound.push(boundAddress(health.bind));
  }
  const listeners = new Map<string, readonly Bind[]>();
  for (const listenerConfig of config.listeners) {
    const listener = createListener(parts, listenerConfig);
    parts.listeners.push(listener);
    const binds = await listener.start();
    listeners.set(listenerConfig.name, binds);
    bound.push(...binds.map(boundAddress));
    log.info({ listener: listenerConfig.name, addresses: binds.map(bindText) }, 'listening');
  }
  parts.state = 'accepting';
  log.info({ admin: bindText(admin.bind), policy: parts.inForce.loaded.digest }, 'ready');
  if (parts.surroundings.loadAgain !== undefined) parts.running.push(watchFiles(parts));

  const stopped = Promise.withResolvers<void>();
  return {
    listeners,
    admin: admin.bind,
    reload: () => reload(parts),
    async reopenLogs() {
      await Promise.all(parts.squidLogs.map((squidLog) => squidLog.reopen()));
    },
    onAuditEvent: (listener) => parts.recorder.onEvent(listener),
    stop(options) {
      if (parts.state === 'accepting') drain(parts, options).then(stopped.resolve, stopped.reject);
      return stopped.promise;
    },
    stopped: stopped.promise,
  };
}

function adminParts(parts: Parts, readiness: Readiness) {
  const { trail, config } = parts;
  const startedAt = new Date().toISOString();
  return {
    token: parts.adminToken,
    readiness,
    metrics: { contentType: parts.metrics.contentType, text: () => parts.metrics.text() },
    trail,
    why: async (id: string) => {
      const events = await trail.find(id);
      if (events.length === 0) return undefined;
      const { policy, contact, loaded } = parts.inForce;
      return explainExchange(events, { policy, digest: loaded.digest, contact, now: Date.now() });
    },
    status: () => ({
      gateway: config.gateway.name,
      state: parts.state,
      policy: parts.inForce.loaded.digest,
      startedAt,
    }),
    log: parts.log,
  };
}

function createListener(parts: Parts, { name }: ListenerConfig): ForwardProxyListener {
  const { metrics, log } = parts;
  // A reload may change what a listener takes and for how long, but neither remove it nor rename it.
  const config = () => parts.inForce.listeners.get(name) as ListenerConfig;
  const fault = (error: unknown) => {
    metrics.fault();
    log.error({ err: error }, 'a fault of the gateway itself ended an exchange');
  };
  const gate: Gate<Channel> = {
    ...parts,
    inForce: () => parts.inForce,
    fault,
    grant: (permit) => grantOf(permit, config(), parts),
  };
  const events: ListenerEvents = {
    rejected: (rejection) => metrics.rejected(name, rejection),
    connections: (open) => metrics.connections(name, open),
    fault,
  };
  return new ForwardProxyListener(
    {
      get config() {
        return config();
      },
      via: viaPseudonym(parts.config.gateway.name),
      schemes: () => parts.inForce.identifier.schemes,
      run: (conversation) => parts.exchanges.run(runExchange(conversation, gate)),
      ownPage: (path, evidence) =>
        ownPage(path, evidence, { ...parts.inForce, trail: parts.trail }),
    },
    events,
  );
}

function grantOf(permit: Permit, { timeouts }: ListenerConfig, parts: Parts): Grant<Channel> {
  const { record, decision, principal, question, addresses, inForce } = permit;
  const { metrics } = parts;
  const meter = {
    dialled: (milliseconds: number, failed: boolean) => metrics.dialled(milliseconds, failed),
    tunnels: (change: 1 | -1) => metrics.tunnels(change),
    now: () => performance.now(),
  };
  const { connectMs, idleMs } = timeouts;
  return new UpstreamGrant(
    {
      id: record.id,
      decision,
      principal,
      contact: decision.owner ?? principal?.owner ?? inForce.contact,
      identityHeaders: inForce.identityHeaders,
      destination: question.destination,
      addresses,
      record: (later) => record.decision(later),
      dialled: (address) => record.dialled(address),
      opened: (address, breakOff) =>
        parts.tunnels.add({ permit, address, breakOff }, parts.inForce, Date.now()),
    },
    { pool: parts.pool, exits: inForce.exits, connectMs, idleMs, meter },
  );
}

function watchFiles(parts: Parts): { close(): Promise<void> } {
  const watch = new FileWatch(() => {
    void reload(parts).then(() => watch.watch(parts.inForce.loaded));
  });
  watch.watch(parts.inForce.loaded);
  return { close: async () => watch.close() };
}

async function reload(parts: Parts): Promise<boolean> {
  const { log, metrics, recorder, surroundings } = parts;
  const { loadAgain, env } = surroundings;
  if (loadAgain === undefined || parts.state !== 'accepting') return false;
  const before = parts.inForce.loaded.digest;
  try {
    const { next, differences } = prepare(parts.inForce, loadAgain, env, Date.now());
    const { config, digest } = next.loaded;
    recorder.adopt({
      policy: digest,
      owned: config.networks.owned,
      onFailure: config.audit.onFailure,
    });
    parts.inForce = next;
    metrics.policyLoaded(digest, Date.now());
    const ended = parts.tunnels.endDenied(next, Date.now());
    await recorder.reloaded({ from: before, to: digest, differences, ended });
    log.info({ from: before, to: digest, ...countChanges(differences), ended }, 'reloaded');
    return true;
  } catch (error) {
    metrics.reloadRefused();
    if (!(error instanceof SekishoError)) metrics.fault();
    log.error(refusalFacts(error), 'reload refused: nothing was changed');
    return false;
  }
}

/** A fault of ours is told with its stack; one of the configuration with the place that it names. */
function refusalFacts(error: unknown): object {
  return error instanceof SekishoError
    ? { code: error.code, faults: error.message }
    : { err: error };
}

async function drain(parts: Parts, { notice } = { notice: true }): Promise<void> {
  const { noticeMs, limitMs } = parts.inForce.loaded.config.gateway.drain;
  parts.state = 'draining';
  // Balancers see readiness fail and move away while connections that they still send are served.
  if (notice) await wait(noticeMs);
  await Promise.all(parts.listeners.map((listener) => listener.drain(limitMs)));
  await closeParts(parts);
}

async function closeParts({
  listeners,
  exchanges,
  running,
  pool,
  resolver,
  recorder,
  writer,
  squidLogs,
}: Parts): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.drain(0)));
  // One whose client is gone may still wait for DNS or a dial, within their limits; its outcome belongs on record.
  await exchanges.ended();
  pool.close();
  resolver.close();
  await Promise.all(running.map((part) => part.close()));
  recorder.close();
  await writer.close();
  await Promise.all(squidLogs.map((squidLog) => squidLog.close()));
}

function boundAddress({ host, port }: Bind): BoundAddress {
  return { ip: Ip.parse(host) as Ip, port };
}

function bindText({ host, port }: Bind): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Tells gateways apart in Via fields without telling upstreams their names. */
function viaPseudonym(name: string): string {
  return `sekisho-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}
