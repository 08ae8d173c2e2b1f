import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Bind } from '../config/config.ts';
import { listenFailed } from '../core/listen-failed.ts';

/** An HTTP interface at work. */
export interface Running {
  /** What it is bound to, with the port that the system picked. */
  readonly bind: Bind;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** @param key the key of the configuration that names the address */
export async function listenOn(app: FastifyInstance, bind: Bind, key: string): Promise<Running> {
  try {
    // A copy: fastify writes into what it is given.
    await app.listen({ ...bind });
  } catch (error) {
    await app.close();
    throw listenFailed(key, bind, error as NodeJS.ErrnoException);
  }
  const { address, port } = app.server.address() as AddressInfo;
  return { bind: { host: address, port }, close: () => app.close() };
}
