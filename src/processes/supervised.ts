import { availableParallelism } from 'node:os';
import { Metrics } from '../admin/metrics.ts';
import { bundle } from '../candidate.ts';
import type { Loaded } from '../config/load.ts';
import { type Primary, startPrimary } from '../primary.ts';
import type { PrimarySurroundings } from '../workers.ts';
import { Supervisor } from './supervisor.ts';

/**
 * Starts a gateway of a primary, which is this process, and `gateway.workers` processes that serve.
 *
 * @throws SekishoError naming what cannot be had: a secret, the audit directory, an address to bind
 */
export async function startSupervised(
  loaded: Loaded,
  surroundings: PrimarySurroundings,
): Promise<Primary> {
  const { env, log } = surroundings;
  const { workers } = loaded.config.gateway;
  const candidate = bundle(loaded, env);
  const metrics = new Metrics('primary');
  const supervisor = await Supervisor.open({
    candidate,
    log,
    meter: metrics,
    count: workers === 'auto' ? availableParallelism() : workers,
  });
  return startPrimary(candidate.inForce, supervisor, surroundings, metrics);
}
