import type { SecureContext } from 'node:tls';
import type { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
import { Channel } from '../stream/channel.ts';
import { nodeSocket } from '../tcp/native-socket.ts';
import { commonTrust, startTls, trust } from './client-tls.ts';
import type { Dialled } from './way-out.ts';

/** Trust by the PEM that it comes from: to build it costs more than a handshake. */
const known = new Map<string, SecureContext>();
const MOST = 100;

/**
 * A connection whose other end is the destination, made a TLS one that is verified for it, whatever lies between.
 *
 * @param ca the only CAs that vouch for it, in PEM; undefined: the system's
 * @throws UpstreamError `tls-failed`, `connect-timeout`
 */
export async function secured(
  dialled: Dialled,
  host: Hostname | Ip,
  ca: string | undefined,
  { timeoutMs, idleMs }: { timeoutMs: number; idleMs: number },
): Promise<Dialled> {
  const { socket, early } = dialled.stream.release();
  const secure = await startTls(nodeSocket(socket, early), host, contextOf(ca), timeoutMs);
  return { ...dialled, stream: new Channel(secure, idleMs) };
}

function contextOf(ca: string | undefined): SecureContext {
  if (ca === undefined) return commonTrust();
  const context = known.get(ca) ?? trust(ca);
  known.set(ca, context);
  const [oldest] = known.keys();
  if (known.size > MOST && oldest !== undefined) known.delete(oldest);
  return context;
}
