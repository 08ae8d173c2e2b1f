import { readFileSync } from 'node:fs';
import fastify, { type FastifyInstance } from 'fastify';
import { addHealthRoutes } from '../admin/health.ts';
import { listenOn, type Running } from '../admin/listen.ts';
import type { RangesConfig } from '../config/ranges-config.ts';
import type { Logger } from '../log.ts';
import { joinSnapshots, METRICS_CONTENT_TYPE } from '../metrics/snapshot.ts';
import { RangesError } from '../ranges/ranges-error.ts';
import type { SnsReceiver } from '../ranges/sns/receiver.ts';
import { reasonOf } from '../ranges/surroundings.ts';
import type { RangesWatch } from './ranges-rounds.ts';

/** SNS sends no more. */
const MAX_MESSAGE = 256 * 1024;

export interface WatchPages {
  readonly watch: RangesWatch;
  /** Undefined: nothing is taken from SNS. */
  readonly receiver: SnsReceiver | undefined;
  readonly log: Logger;
}

/** `/healthz`, `/readyz`, `/metrics`, and `/sns` for messages of SNS. @throws SekishoError `listen-failed` */
export function startWatchPages(
  { bind, tls }: RangesConfig['watch'],
  { watch, receiver, log }: WatchPages,
): Promise<Running> {
  const app = fastify({
    forceCloseConnections: true,
    bodyLimit: MAX_MESSAGE,
    ...(tls && { https: { cert: readPem(tls.certificate), key: readPem(tls.key) } }),
  }) as FastifyInstance;
  addHealthRoutes(app, () => watch.checks());
  app.get('/metrics', async (_, reply) => {
    reply.type(METRICS_CONTENT_TYPE);
    return joinSnapshots([watch.metrics.snapshot()]);
  });
  if (receiver !== undefined) addSnsRoute(app, receiver, log);
  return listenOn(app, bind, 'ranges.watch.bind');
}

/** @throws RangesError `ranges-unavailable` */
function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const message = `ranges.watch.tls: ${path} cannot be read: ${reasonOf(error)}`;
    throw new RangesError('ranges-unavailable', message, { cause: error });
  }
}

/** 403 for what is not to be believed; 503 has SNS send it again. */
function addSnsRoute(app: FastifyInstance, receiver: SnsReceiver, log: Logger): void {
  app.post('/sns', async ({ body }, reply) => {
    try {
      const outcome = await receiver.receive(typeof body === 'string' ? body : '');
      if (outcome === 'confirmed') log.info({}, 'the subscription is confirmed');
      return { outcome };
    } catch (error) {
      if (!(error instanceof RangesError)) throw error;
      log.warn({ code: error.code }, `a message to /sns: ${error.message}`);
      return reply.code(error.code === 'ranges-refused' ? 403 : 503).send({ code: error.code });
    }
  });
}
