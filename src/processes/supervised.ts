import { availableParallelism } from 'node:os';
import { bundle, type Candidate } from '../candidate.ts';
import type { Loaded } from '../config/load.ts';
import { PrimaryMetrics } from '../metrics/primary.ts';
import { preflight } from '../preflight.ts';
import { type Primary, startPrimary } from '../primary.ts';
import { withLists } from '../published/complete.ts';
import { VERSION } from '../version.ts';
import type { PrimarySurroundings } from '../workers.ts';
import { settleHeap } from './settle.ts';
import { Supervisor } from './supervisor.ts';

/**
 * Starts a gateway of a primary, which is this process, and `gateway.workers` processes that serve.
 *
 * @throws StartError naming all that cannot be had: secrets, the audit directory, addresses to bind
 */
export async function startSupervised(
  loaded: Loaded,
  surroundings: PrimarySurroundings,
): Promise<Primary> {
  const { env, log } = surroundings;
  const { workers } = loaded.config.gateway;
  const started = await withLists(loaded);
  const made: Candidate[] = [];
  await preflight(started.config, log, async () => made.push(await bundle(started, env)));
  const [candidate] = made as [Candidate];
  const metrics = new PrimaryMetrics(VERSION, Date.now());
  const supervisor = await Supervisor.open({
    candidate,
    log,
    meter: metrics.record,
    count: workers === 'auto' ? availableParallelism() : workers,
  });
  const primary = await startPrimary(candidate, supervisor, surroundings, metrics);
  settleHeap();
  return primary;
}
