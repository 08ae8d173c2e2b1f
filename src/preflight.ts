import { constants } from 'node:fs';
import { access, open, unlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { keepToken } from './admin/token.ts';
import { inAuditDir } from './audit/audit.ts';
import { readSigningKey } from './audit/signing-key.ts';
import { SquidLog } from './audit/squid-log.ts';
import type { Bind, Config } from './config/config.ts';
import { SekishoError } from './core/errors.ts';
import { listenFailed } from './core/listen-failed.ts';
import { ServerTls } from './listener/forward-proxy/server-tls.ts';
import type { Logger } from './log.ts';
import { auditDir } from './workers.ts';

/** Why a gateway does not start: all of it at once, a line each. */
export class StartError extends SekishoError {
  constructor(faults: readonly SekishoError[]) {
    super('start-failed', faults.map(({ message }) => message).join('\n'), {
      cause: new AggregateError(faults),
    });
    this.name = 'StartError';
  }
}

/**
 * Looks for everything that would keep a gateway from starting, and leaves nothing behind. Whoever has to mend it should
 * not learn of the second fault by starting for the second time.
 *
 * @param first what else may fail
 * @throws StartError, or the one fault that there is
 */
export async function preflight(config: Config, log: Logger, first: () => unknown): Promise<void> {
  const faults: SekishoError[] = [];
  const attempts: (() => unknown)[] = [
    first,
    () => config.audit.checkpoint && readSigningKey(config.audit.checkpoint.key),
    () => writeProbe(auditDir(config)),
    () => config.admin.token === undefined && keepToken(config.gateway.dataDir),
    ...config.audit.also.map(
      ({ squidLog }) =>
        () =>
          openAndClose(squidLog, log),
    ),
    ...config.listeners.flatMap(({ name, bind, tls }) => [
      ...bind.map((one) => () => checkFree(`listener ${name}`, one)),
      () => tls && new ServerTls(tls, () => undefined),
    ]),
    () => checkFree('admin.bind', config.admin.bind),
    () => config.gateway.health && checkFree('gateway.health', config.gateway.health),
  ];
  for (const attempt of attempts) {
    try {
      await attempt();
    } catch (error) {
      if (!(error instanceof SekishoError)) throw error;
      faults.push(error);
    }
  }
  if (faults.length > 0) throw faults.length === 1 ? faults[0] : new StartError(faults);
}

async function openAndClose(path: string, log: Logger): Promise<void> {
  await (await SquidLog.open({ path, log, lost: () => undefined })).close();
}

/** Enough that a full disk shows: an empty file needs no room. */
const PROBE_BYTES = 64 * 1024;

function writeProbe(dir: string): Promise<void> {
  return inAuditDir(dir, async () => {
    await access(dir, constants.R_OK | constants.X_OK);
    const path = join(dir, `.probe-${process.pid}`);
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(Buffer.alloc(PROBE_BYTES));
    } finally {
      await file.close();
      await unlink(path);
    }
  });
}

/**
 * Workers share their ports, so the system would let them share one with another program that shares as well: a second
 * gateway with this configuration, say. Nobody else may be there.
 */
async function checkFree(what: string, bind: Bind): Promise<void> {
  if (bind.port === 0) return;
  const probe = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ ...bind, exclusive: true }, resolve);
    });
  } catch (error) {
    throw listenFailed(what, bind, error as NodeJS.ErrnoException);
  }
  await new Promise((closed) => probe.close(closed));
}
