import { type Diagnostic, quote, warning } from '../core/diagnostic.ts';
import { Cidr } from '../core/ip.ts';
import type { Bind, Config, ListenerConfig } from './config.ts';

/** Listeners where secrets that identify cross a network that is not the owner's, readable by whoever listens there. */
export function findClearIdentity({ listeners, principals, networks }: Config): Diagnostic[] {
  const entries = principals.flatMap(({ identify }) => identify);
  if (!entries.some(({ header, basic, bearer }) => header ?? basic ?? bearer)) return [];
  const isOwned = (peers: Cidr | string) =>
    typeof peers !== 'string' && networks.owned.some((owned) => peers.inside(owned));
  return listeners
    .filter(({ tls }) => tls === undefined)
    .filter(({ bind, from }) => !bind.every(isOnLoopback) && from?.every(isOwned) !== true)
    .map(({ name, at }) => {
      const message = `the listener ${quote(name)} takes header, basic and bearer identity in clear from outside networks.owned`;
      return warning(
        at,
        message,
        'give it tls, limit it by from to owned networks, or bind it to a loopback address',
      );
    });
}

const LOOPBACK = ['127.0.0.0/8', '::1'].map((text) => Cidr.parse(text) as Cidr);

function isOnLoopback({ host }: Bind): boolean {
  const address = Cidr.parse(host);
  return address !== undefined && isLoopback(address);
}

/** Whether a network never leaves this host. */
export function isLoopback(network: Cidr): boolean {
  return LOOPBACK.some((range) => network.inside(range));
}

/**
 * Clients in a subnet that is trusted as a balancer's: whoever is there can send a PROXY header with any address in it
 * and so be taken for anybody whom an address identifies.
 */
export function findTrustedClients(config: Config): Diagnostic[] {
  return config.listeners.flatMap((listener) =>
    (listener.proxyProtocol?.from ?? []).flatMap((trusted) => [
      ...trustedPrincipals(config, trusted, listener),
      ...trustedPeers(config, trusted, listener),
    ]),
  );
}

const REMEDY = 'keep balancers in a subnet that holds no clients';

function trustedPrincipals(
  { principals }: Config,
  trusted: Cidr | string,
  listener: ListenerConfig,
): Diagnostic[] {
  return principals.flatMap(({ name, identify }) =>
    identify
      .filter(({ clientAddress }) => clientAddress?.some((network) => overlap(network, trusted)))
      .map(({ at }) => {
        const message = `the principal ${quote(name)} may come from ${trusted}, whose PROXY headers the listener ${quote(listener.name)} believes`;
        return warning(at, message, REMEDY);
      }),
  );
}

/** A wide `from` has to hold the balancers too; one that lies within their subnet is meant for clients. */
function trustedPeers(
  { listeners }: Config,
  trusted: Cidr | string,
  listener: ListenerConfig,
): Diagnostic[] {
  return listeners
    .filter(({ name, proxyProtocol, from }) => {
      if (name === listener.name || proxyProtocol !== undefined) return false;
      return from?.some((peers) => isWithin(peers, trusted));
    })
    .map(({ name, at }) => {
      const message = `the listener ${quote(name)} takes clients from ${trusted}, whose PROXY headers the listener ${quote(listener.name)} believes`;
      return warning(at, message, REMEDY);
    });
}

function overlap(a: Cidr | string, b: Cidr | string): boolean {
  return isWithin(a, b) || isWithin(b, a);
}

/** What a published list holds is another thing every day: of sets that follow one, only the same is told. */
function isWithin(peers: Cidr | string, trusted: Cidr | string): boolean {
  if (typeof peers === 'string' || typeof trusted === 'string') return peers === trusted;
  return peers.inside(trusted);
}
