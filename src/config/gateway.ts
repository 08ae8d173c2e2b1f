import { resolve } from 'node:path';
import { z } from 'zod';
import type { GatewayConfig } from './config.ts';
import type { Merged } from './merge.ts';
import { bind, parseResolver } from './networks.ts';
import { choice, line, list, parsed, says, section } from './shape.ts';
import { timer } from './units.ts';

const MOST_WORKERS = 256;
const workersFault = says(
  'this is not a number of workers',
  `write auto, or a number from 1 to ${MOST_WORKERS}`,
);

const workers = z.union(
  [
    z.literal('auto'),
    z
      .int({ error: workersFault })
      .min(1, { error: workersFault })
      .max(MOST_WORKERS, { error: workersFault }),
  ],
  { error: workersFault },
);

export const gatewaySchema = section({
  name: line.optional().meta({ description: 'Default: the host name.' }),
  contact: line.optional().meta({ description: 'Whom a refused developer asks.' }),
  workers: workers.default('auto'),
  dataDir: line.default('./var'),
  health: bind.optional(),
  drain: section({ notice: timer.prefault('5s'), limit: timer.prefault('30s') }).prefault({}),
  log: choice(['error', 'warn', 'info', 'debug']).default('info'),
  onReload: choice(['close', 'keep']).default('close'),
  resolvers: list(parsed(parseResolver, 'Address and port of a DNS server.')).optional(),
}).prefault({});

export function toGateway(
  written: z.output<typeof gatewaySchema>,
  merged: Merged,
  hostname: string,
): GatewayConfig {
  return {
    name: written.name ?? hostname,
    contact: written.contact,
    workers: written.workers,
    dataDir: resolve(merged.folder(['gateway', 'dataDir']), written.dataDir),
    health: written.health,
    drain: { noticeMs: written.drain.notice, limitMs: written.drain.limit },
    log: written.log,
    onReload: written.onReload,
    resolvers: written.resolvers ?? [],
  };
}
