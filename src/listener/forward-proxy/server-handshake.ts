import { type SecureContext, TLSSocket } from 'node:tls';
import { SekishoError } from '../../core/errors.ts';
import { nodeSocket } from '../../tcp/native-socket.ts';
import type { TcpSocket } from '../../tcp/tcp-socket.ts';

/**
 * Makes an accepted connection a TLS one, with what was read of it already. Resolves once the handshake is done.
 *
 * @param protocols what the client may agree on, the first one first
 * @throws SekishoError `handshake-failed`; the connection is closed then
 */
export function serverHandshake(
  tcp: TcpSocket,
  early: Buffer | undefined,
  context: SecureContext,
  timeoutMs: number,
  protocols: readonly string[] = ['http/1.1'],
): Promise<TLSSocket> {
  const socket = nodeSocket(tcp, early);
  // What fails below is told by the TLS above it.
  socket.on('error', () => {});
  const secure = new TLSSocket(socket, {
    isServer: true,
    secureContext: context,
    ALPNProtocols: [...protocols],
  });
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      secure.off('error', onError).off('close', onClose).off('end', onClose);
    };
    const fail = (cause: Error) => {
      settle();
      secure.destroy();
      reject(new SekishoError('handshake-failed', 'no TLS session came about', { cause }));
    };
    const onError = (error: Error) => fail(error);
    const onClose = () => fail(new Error('the client closed'));
    const timer = setTimeout(() => fail(new Error('the handshake took too long')), timeoutMs);
    secure.on('error', onError).on('close', onClose).on('end', onClose);
    // So that its FIN is seen; what the client sends behind its handshake comes after `secure`.
    secure.resume();
    secure.once('secure', () => {
      settle();
      secure.pause();
      resolve(secure);
    });
  });
}
