import type { GatewayProcess } from './gateway-process.ts';
import type { Failure } from './load-plan.ts';
import { decisions } from './record.ts';

/** Processes that were killed at a time. */
export interface Kill {
  readonly pids: readonly number[];
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  /** When they were replaced. */
  replacedMs: number;
}

/** Whose fault the failures of a phase are. */
export interface Attributed {
  /** The record names the killed process as the one that had the connection. */
  readonly inside: number;
  /**
   * The connection was new: whoever had it was killed before it had recorded anything of it. Told apart because only the
   * time speaks for it.
   */
  readonly fresh: number;
  /** What nothing explains. */
  readonly unexplained: readonly Failure[];
}

/** How late a client may notice it, on a busy machine. */
export const NOTICED_MS = 3_000;
/** The kill itself takes its time, after the clock was read. */
const SLACK_MS = 100;

/** Holds failures against kills, by the record of whoever served the connection before. */
export async function attribute(
  failures: readonly Failure[],
  kills: readonly Kill[],
  gateways: readonly GatewayProcess[],
): Promise<Attributed> {
  const servedBy = await servers(failures, gateways);
  const counts = { inside: 0, fresh: 0 };
  const unexplained: Failure[] = [];
  for (const failure of failures) {
    const kill = kills.find((candidate) => follows(failure, candidate, servedBy.get(failure)));
    if (kill === undefined) unexplained.push(failure);
    else if (servedBy.get(failure) === undefined) counts.fresh++;
    else counts.inside++;
  }
  return { ...counts, unexplained };
}

/** @param pid who had the connection; undefined: nobody recorded anything of it */
function follows(failure: Failure, { pids, timeMs, replacedMs }: Kill, pid: number | undefined) {
  const { openedMs, failedMs } = failure;
  if (failedMs < timeMs - SLACK_MS) return false;
  if (pid !== undefined) return pids.includes(pid);
  return openedMs < replacedMs && failedMs < replacedMs + NOTICED_MS;
}

/** The process that decided on what failed or, where none did, on the last thing of its connection. */
async function servers(
  failures: readonly Failure[],
  gateways: readonly GatewayProcess[],
): Promise<ReadonlyMap<Failure, number>> {
  const byPort = Map.groupBy(failures, ({ clientPort }) => clientPort);
  const last = new Map<Failure, { readonly rank: number; readonly pid: number }>();
  if (failures.length === 0) return new Map();
  for await (const { marker, clientPort, timeMs, pid } of decisions(gateways)) {
    for (const failure of byPort.get(clientPort) ?? []) {
      const { openedMs, failedMs } = failure;
      // A port is given to one connection after the other, at times at once.
      if (timeMs < openedMs || timeMs > failedMs) continue;
      // What speaks of the very request or tunnel is better than what speaks of its port.
      const rank = marker === failure.marker ? Number.POSITIVE_INFINITY : timeMs;
      if (rank >= (last.get(failure)?.rank ?? 0)) last.set(failure, { rank, pid });
    }
  }
  return new Map([...last].map(([failure, { pid }]) => [failure, pid]));
}
