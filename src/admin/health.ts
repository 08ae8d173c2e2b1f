import fastify, { type FastifyInstance } from 'fastify';
import type { Bind } from '../config/config.ts';
import { listenOn, type Running } from './listen.ts';

/** One thing that must hold for the gateway to take clients. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
}

/** Asked on every call: the gateway knows at any time, without doing anything for it. */
export type Readiness = () => readonly Check[];

/** `/healthz`: the process answers. `/readyz`: it takes clients; 503 names what keeps it from that. Neither takes a token. */
export function addHealthRoutes(app: FastifyInstance, readiness: Readiness): void {
  app.get('/healthz', { config: { open: true } }, () => ({ status: 'ok' }));
  app.get('/readyz', { config: { open: true } }, (_, reply) => {
    const failing = readiness().filter(({ ok }) => !ok);
    if (failing.length === 0) return { status: 'ready' };
    return reply.code(503).send({ status: 'not ready', failing: failing.map(({ name }) => name) });
  });
}

/** The two health paths alone, for balancers that reach `gateway.health`. @throws SekishoError `listen-failed` */
export async function startHealth(bind: Bind, readiness: Readiness): Promise<Running> {
  const app = fastify({ forceCloseConnections: true });
  addHealthRoutes(app, readiness);
  return listenOn(app, bind, 'gateway.health');
}
