import { setTimeout as wait } from 'node:timers/promises';
import { startAdmin } from './admin/admin.ts';
import { type Readiness, startHealth } from './admin/health.ts';
import { explainExchange } from './admin/why.ts';
import type { AuditEvent } from './audit/event.ts';
import type { Bind } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { Ip } from './core/ip.ts';
import type { BoundAddress } from './destination/own-addresses.ts';
import { buildParts, type Parts, type Surroundings } from './parts.ts';
import { reload, watchFiles } from './reload.ts';
import { createListener } from './serving.ts';

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
