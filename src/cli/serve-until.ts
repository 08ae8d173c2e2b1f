import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bind } from '../config/config.ts';
import { listenFailed } from '../core/listen-failed.ts';

/**
 * Listens until SIGTERM or SIGINT, then lets what is under way finish, each answer the last one of its connection; a second
 * signal ends at once.
 *
 * @param listening is told where
 * @throws SekishoError `listen-failed`
 */
export async function serveUntilStopped(
  server: Server,
  bind: Bind,
  what: string,
  listening: (url: string) => void,
): Promise<void> {
  server.listen({ host: bind.host, port: bind.port });
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw listenFailed(what, bind, error);
  });
  const { port, address, family } = server.address() as AddressInfo;
  listening(`http://${family === 'IPv6' ? `[${address}]` : address}:${port}`);
  const closed = once(server, 'close');
  const answering = new Set<ServerResponse>();
  server.on('request', (_request, response) => {
    answering.add(response);
    response.once('close', () => answering.delete(response));
  });
  const stop = () => {
    for (const response of answering) response.shouldKeepAlive = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.off(signal, stop).once(signal, () => process.exit(1));
    }
    server.close();
    server.closeIdleConnections();
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
  await closed;
}
