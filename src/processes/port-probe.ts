import { createServer } from 'node:net';
import type { Bind } from '../config/config.ts';
import { listenFailed } from '../listener/forward-proxy/listen-failed.ts';

/**
 * Workers share their ports, so the system would let them share one with another program that shares as well: a second
 * gateway with this configuration, say. Nobody else may be there.
 *
 * @throws SekishoError `listen-failed` naming listener, address and remedy
 */
export async function checkFree(listener: string, bind: Bind): Promise<void> {
  if (bind.port === 0) return;
  const probe = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ ...bind, exclusive: true }, resolve);
    });
  } catch (error) {
    throw listenFailed(listener, bind, error as NodeJS.ErrnoException);
  }
  await new Promise((closed) => probe.close(closed));
}
