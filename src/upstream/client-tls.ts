import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { connect, createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { hostText } from '../core/destination.ts';
import type { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { UpstreamError } from '../core/refusal.ts';

let everybody: SecureContext | undefined;

/** Trusts the CAs of the system and those that Node brings. Built once: they are hundreds. */
export function commonTrust(): SecureContext {
  everybody ??= trust(commonCas());
  return everybody;
}

export function commonCas(): readonly string[] {
  return [...getCACertificates('default'), ...getCACertificates('system')];
}

/** Trusts these CAs alone, in PEM. */
export function trust(ca: string | readonly string[]): SecureContext {
  return createSecureContext({ ca: typeof ca === 'string' ? ca : [...ca], minVersion: 'TLSv1.2' });
}

/**
 * Makes a connection a TLS one whose certificate is for `host`. It comes paused, without listeners.
 *
 * @param protocols what is offered; the other end picks
 * @throws UpstreamError `tls-failed`, `connect-timeout`; the connection is closed then
 */
export function startTls(
  socket: Socket,
  host: Hostname | Ip,
  context: SecureContext,
  timeoutMs: number,
  protocols: readonly string[] = ['http/1.1'],
): Promise<TLSSocket> {
  // What fails below is told by the TLS above it.
  socket.on('error', () => {});
  const secure = connect({
    socket,
    // RFC 6066 section 3: no server name for a literal, whose certificate names the address.
    ...(host instanceof Ip ? { host: host.text } : { servername: host.name }),
    secureContext: context,
    // Said outright: NODE_TLS_REJECT_UNAUTHORIZED must not undo it.
    rejectUnauthorized: true,
    ALPNProtocols: [...protocols],
  });
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      secure.off('error', onError).off('secureConnect', onSecure);
    };
    const fail = (code: 'tls-failed' | 'connect-timeout', why: string, cause?: Error) => {
      settle();
      secure.on('error', () => {});
      secure.destroy();
      const message = `no TLS with ${hostText(host)}: ${why}`;
      reject(new UpstreamError(code, message, { cause }));
    };
    const onError = (error: Error) => fail('tls-failed', error.message, error);
    const onSecure = () => {
      settle();
      secure.pause();
      resolve(secure);
    };
    const timer = setTimeout(() => fail('connect-timeout', 'no handshake in time'), timeoutMs);
    secure.on('error', onError).on('secureConnect', onSecure);
  });
}
