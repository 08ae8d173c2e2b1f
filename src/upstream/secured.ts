import type { SecureContext, TLSSocket } from 'node:tls';
import type { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
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
 * @param protocols what the destination is offered
 * @throws UpstreamError `tls-failed`, `connect-timeout`
 */
export function secured(
  { stream }: Dialled,
  host: Hostname | Ip,
  trusted: Trusted,
  timeoutMs: number,
  protocols: readonly string[],
): Promise<TLSSocket> {
  const { socket, early } = stream.release();
  return startTls(nodeSocket(socket, early), host, contextOf(trusted), timeoutMs, protocols);
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
