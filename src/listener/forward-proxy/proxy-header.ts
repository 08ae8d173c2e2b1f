import type { Ip } from '../../core/ip.ts';
import type { Channel } from '../../stream/channel.ts';
import { ProxyHeaderReader } from '../../wire/proxy-protocol.ts';

export interface ClientAddress {
  readonly ip: Ip;
  readonly port: number;
}

/**
 * Takes the PROXY header that a trusted balancer must send first, and gives the client it speaks of: the peer itself
 * for a balancer's own health checks (v2 LOCAL, v1 UNKNOWN), undefined when it closed before a byte.
 *
 * @throws ProxyHeaderError, ChannelLost
 */
export async function takeProxyHeader(
  channel: Channel,
  peer: ClientAddress,
  timeoutMs: number,
): Promise<ClientAddress | undefined> {
  const reader = new ProxyHeaderReader();
  const header = await channel.take((chunk) => {
    const complete = reader.push(chunk);
    if (complete !== undefined) channel.unread(reader.rest);
    return complete;
  }, timeoutMs);
  return header && (header.source ?? peer);
}
