import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AuditEvent } from '../audit/event.ts';
import type { AuditTrail } from '../audit/trail.ts';
import type { Bind } from '../config/config.ts';
import type { Secret } from '../core/secret.ts';
import { addHealthRoutes, type Readiness } from './health.ts';
import { listenOn, type Running } from './listen.ts';
import type { GatewayStatus } from './status.ts';
import { carriesToken } from './token.ts';
import type { WhyReport } from './why.ts';

/** What the admin API shows of the gateway. */
export interface AdminParts {
  /** Asked on every call: a reload may bring another. */
  token(): Secret;
  readonly readiness: Readiness;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly trail: Pick<AuditTrail, 'tail'>;
  /** undefined: the record does not hold that exchange. */
  why(id: string): Promise<WhyReport | undefined>;
  status(): GatewayStatus;
  readonly log: { error(facts: object, message: string): void };
}

export type Admin = Running;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    open?: boolean;
  }
}

/** The HTTP API that console and command line share. @throws SekishoError `listen-failed` */
export async function startAdmin(bind: Bind, parts: AdminParts): Promise<Admin> {
  const app = fastify({
    forceCloseConnections: true,
    // A misspelt parameter is told, not dropped.
    ajv: { customOptions: { removeAdditional: false } },
  });
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.open !== true)
      return requireToken(request, reply, parts.token());
  });
  app.setNotFoundHandler((_, reply) => problem(reply, 404, 'There is no such page.'));
  app.setErrorHandler((error: Error & { statusCode?: number }, _, reply) => {
    const { statusCode = 500, message } = error;
    if (statusCode < 500) return problem(reply, statusCode, message);
    parts.log.error({ err: error }, 'the admin API failed');
    return problem(reply, 500, 'The gateway failed; its log has the fault.');
  });
  addHealthRoutes(app, parts.readiness);
  addRoutes(app, parts);
  return listenOn(app, bind, 'admin.bind');
}

async function requireToken(request: FastifyRequest, reply: FastifyReply, token: Secret) {
  if (carriesToken(request.headers.authorization, token)) return;
  reply.header('www-authenticate', 'Bearer realm="sekisho admin"');
  return problem(reply, 401, 'Send the admin token: Authorization: Bearer TOKEN.');
}

/** RFC 9457. */
function problem(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply.code(status).type('application/problem+json').send({ status, detail });
}

interface TailQuery {
  readonly n: number;
  readonly follow: 0 | 1;
  readonly types?: readonly AuditEvent['type'][];
}

const TAIL_QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    n: { type: 'integer', minimum: 0, maximum: 10_000, default: 10 },
    follow: { type: 'integer', enum: [0, 1], default: 0 },
    types: {
      type: 'array',
      items: { enum: ['decision', 'outcome', 'suppressed', 'reload', 'refresh', 'ranges'] },
    },
  },
};

function addRoutes(app: FastifyInstance, parts: AdminParts): void {
  app.get('/metrics', async (_, reply) =>
    reply.type(parts.metrics.contentType).send(await parts.metrics.text()),
  );
  app.get('/v1/status', () => parts.status());
  app.get<{ Params: { id: string } }>('/v1/why/:id', async ({ params }, reply) => {
    const report = await parts.why(params.id);
    return report ?? problem(reply, 404, 'The record holds no exchange with this id.');
  });
  app.get<{ Querystring: TailQuery }>(
    '/v1/audit/tail',
    { schema: { querystring: TAIL_QUERY } },
    ({ query }, reply) =>
      reply.type('application/x-ndjson').send(tailStream(parts, query, reply.raw)),
  );
}

/** Lines are read from the record no faster than the client takes them, and no longer than it stays. */
function tailStream(
  { trail }: AdminParts,
  { n, follow, types }: TailQuery,
  response: ServerResponse,
): Readable {
  const gone = new AbortController();
  // Not when the stream closes: it waits for the line that it was about to read, which may never come.
  response.once('close', () => gone.abort());
  const lines = trail.tail({ last: n, follow: follow === 1 ? gone.signal : undefined, types });
  return Readable.from(endLines(lines), { objectMode: false });
}

async function* endLines(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
