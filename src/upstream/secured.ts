import type { SecureContext } from 'node:tls';
import type { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
import { Channel } from '../stream/channel.ts';
import { nodeSocket } from '../tcp/native-socket.ts';
import { commonCas, commonTrust, startTls, trust } from './client-tls.ts';
import type { Dialled } from './way-out.ts';

/** Trust by the PEM that it comes from: to build it costs more than a handshake. */
const known = new Map<string, SecureContext>();
const MOST = 100;

/** The CAs that vouch for a destination, in PEM. */
export interface Trusted {
  /** These and no others; undefined: the system's. */
  readonly only: string | undefined;
  /** Besides the system's. */
  readonly also: string | undefined;
}

/**
 * A connection whose other end is the destination, made a TLS one that is verified for it, whatever lies between.
 *
 * @throws UpstreamError `tls-failed`, `connect-timeout`
 */
export async function secured(
  dialled: Dialled,
  host: Hostname | Ip,
  trusted: Trusted,
  { timeoutMs, idleMs }: { timeoutMs: number; idleMs: number },
): Promise<Dialled> {
  const { socket, early } = dialled.stream.release();
  const secure = await startTls(nodeSocket(socket, early), host, contextOf(trusted), timeoutMs);
  return { ...dialled, stream: new Channel(secure, idleMs) };
}

function contextOf({ only, also }: Trusted): SecureContext {
  const own = only ?? also;
  if (own === undefined) return commonTrust();
  const key = only === undefined ? `also ${also}` : only;
  const context = known.get(key) ?? trust(only === undefined ? [...commonCas(), own] : own);
  known.set(key, context);
  const [oldest] = known.keys();
  if (known.size > MOST && oldest !== undefined) known.delete(oldest);
  return context;
}
