import { ownPage } from './admin/own-pages.ts';
import type { Memory } from './audit/trail.ts';
import type { ListenerConfig } from './config/config.ts';
import type { Grant } from './core/conversation.ts';
import type { Ip } from './core/ip.ts';
import { type Gate, type Permit, runExchange } from './exchange.ts';
import type { ProxyContext } from './listener/forward-proxy/client.ts';
import { ForwardProxyListener, type ListenerEvents } from './listener/forward-proxy/listener.ts';
import type { PeerRules } from './listener/forward-proxy/peer-rules.ts';
import { viaPseudonym } from './listener/forward-proxy/via.ts';
import type { Parts } from './parts.ts';
import { permissionOf } from './permission.ts';
import type { Channel } from './stream/channel.ts';
import { UpstreamGrant } from './upstream/grants.ts';

/** A listener whose exchanges go through these parts. @throws SekishoError `tls-unusable` */
export function createListener(parts: Parts, name: string): ForwardProxyListener {
  const { metrics } = parts;
  const events: ListenerEvents = {
    rejected: (rejection) => metrics.connections.rejected(name, rejection),
    connections: (open) => metrics.connections.open(name, open),
    fault: (error) => tellFault(parts, error),
  };
  const standingOf = (ip: Ip) => (parts.inForce.peers.get(name) as PeerRules).standingOf(ip);
  return new ForwardProxyListener(proxyContext(parts, name), { standingOf }, events);
}

/** What the connections of a listener need of these parts. */
export function proxyContext(parts: Parts, name: string): ProxyContext {
  // A reload may change what a listener takes and for how long, but neither remove it nor rename it.
  const config = () => parts.inForce.listeners.get(name) as ListenerConfig;
  const gate: Gate<Channel> = {
    ...parts,
    inForce: () => parts.inForce,
    fault: (error) => tellFault(parts, error),
    grant: (permit) => grantOf(permit, config(), parts),
  };
  return {
    get config() {
      return config();
    },
    places: parts.peers.places(name),
    via: viaPseudonym(parts.config.gateway.name),
    schemes: () => parts.inForce.identifier.schemes,
    leaving: () => parts.leaving,
    run: (conversation) => parts.exchanges.run(runExchange(conversation, gate)),
    ownPage: async (path, evidence) => {
      const page = await ownPage(path, evidence, { ...parts.inForce, memory: memoryOf(parts) });
      parts.metrics.connections.ownPage(name, page?.status ?? 404);
      return page;
    },
  };
}

function tellFault({ metrics, log }: Parts, error: unknown): void {
  metrics.fault();
  log.error({ err: error }, 'a fault of the gateway itself ended an exchange');
}

function grantOf(permit: Permit, { timeouts }: ListenerConfig, parts: Parts): Grant<Channel> {
  const { connectMs, idleMs } = timeouts;
  return new UpstreamGrant(
    permissionOf(permit, {
      credential: credentialOf(permit, parts),
      intercept: interceptOf(permit, parts),
      opened: (address, breakOff) =>
        parts.tunnels.add({ permit, address, breakOff, isRead: false }, parts.inForce, Date.now()),
      read: (end) => {
        const [address] = permit.addresses;
        const tunnel = { permit, address, breakOff: end, isRead: true };
        return parts.tunnels.add(tunnel, parts.inForce, Date.now());
      },
    }),
    {
      pool: parts.pool,
      exits: permit.inForce.exits,
      parents: parts,
      connectMs,
      idleMs,
      meter: parts.metrics.waysOut,
    },
  );
}

/** What the gateway answers with in the destination's name, where the rule wants that. */
function interceptOf({ decision, question, inForce }: Permit, { leaves }: Parts) {
  if (decision.settings?.intercept !== true) return undefined;
  const { authority } = inForce;
  if (authority === undefined) throw new TypeError('a rule intercepts, and there is no CA');
  return () => leaves.contextFor(authority, question.destination.host);
}

/** In a tunnel to port 80 each request is decided on again, and takes on its own. */
function credentialOf({ decision, question, inForce, record }: Permit, parts: Parts) {
  if (question.destination.scheme === 'tunnel') return undefined;
  const config = inForce.credentials.get(decision.settings?.credential ?? '');
  return (
    config &&
    parts.credentials.grant(config, {
      destination: question.destination,
      held: inForce.secret,
      used: (use) => {
        record.lent(use);
        parts.metrics.credentials.used(use.name, record.principal?.name ?? '', parts.now());
      },
    })
  );
}

/** The exchanges of this process, and of the others. */
function memoryOf({ recent, peers }: Parts): Memory {
  return {
    find(id) {
      const lines = recent.find(id);
      return lines.length > 0 ? lines : peers.find(id);
    },
  };
}
