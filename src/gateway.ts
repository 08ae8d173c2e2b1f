import type { AuditEvent } from './audit/event.ts';
import { keepAuthority } from './authority/own-authority.ts';
import type { Loaded } from './config/load.ts';
import { putTogether } from './in-force.ts';
import { PrimaryMetrics } from './metrics/primary.ts';
import { type Primary, startPrimary } from './primary.ts';
import { withLists } from './published/complete.ts';
import { VERSION } from './version.ts';
import { Worker } from './worker.ts';
import { ALONE, type PrimarySurroundings } from './workers.ts';

/** A gateway within this process. */
export interface Gateway extends Primary {
  /** Calls with every event, once it is on record. */
  onAuditEvent(listener: (event: AuditEvent) => void): void;
}

/**
 * Starts a gateway within this process: for programs that bring their own, and for tests. `sekisho run` serves from several
 * processes ([`startSupervised`](./processes/supervised.ts)).
 *
 * @throws SekishoError naming what cannot be had: a list that there is no copy of, a secret, the audit directory, an address to bind
 */
export async function startGateway(
  loaded: Loaded,
  surroundings: PrimarySurroundings,
): Promise<Gateway> {
  const { env, log } = surroundings;
  const started = await withLists(loaded);
  await keepAuthority(started.config, Date.now());
  const inForce = putTogether(started, { env });
  const worker = await Worker.open(inForce, { log, env, peers: ALONE, number: 1 });
  const metrics = new PrimaryMetrics(VERSION, Date.now());
  const primary = await startPrimary({ inForce, loaded: started }, worker, surroundings, metrics);
  return { ...primary, onAuditEvent: (listener) => worker.parts.recorder.onEvent(listener) };
}
