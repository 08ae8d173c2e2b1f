import { generatorOf, type Load } from '../load.ts';
import type { Peer, RunningPeer, Site } from '../peers/peer.ts';
import { cpuSeconds } from '../process-tree.ts';
import type { Column, Contestant, Course, Figures } from './row.ts';
import { warmUp } from './warm-up.ts';

/** The columns of every row that sends load through a proxy. */
export function trafficColumns(unit: string, perSecond: string): Column[] {
  return [
    { key: 'cpu', title: `CPU ${unit}`, digits: 1 },
    { key: 'rate', title: perSecond, digits: 0 },
    { key: 'p50', title: 'p50 ms', digits: 2 },
    { key: 'p99', title: 'p99 ms', digits: 2 },
    { key: 'failed', title: 'failed', digits: 0 },
    { key: 'generator', title: 'generator’s cores', digits: 2 },
    { key: 'upstream', title: 'upstream’s cores', digits: 2 },
  ];
}

export interface TrafficOptions {
  readonly course: Course;
  readonly peers: readonly Peer[];
  readonly site?: Partial<Pick<Site, 'rules' | 'checked' | 'injects' | 'intercepts'>>;
  /** CPU seconds of the proxy times this, for each unit, is what the first column shows. */
  readonly scale: number;
  /** Units of the load in one of the rate's. */
  readonly units?: number;
  load(running: RunningPeer, seconds: number): Promise<Load>;
  /** What else is asked of it in every round, for further columns. */
  ask?(running: RunningPeer): Promise<Figures>;
}

/** Each peer, started once for all rounds and warmed up. */
export function traffic(options: TrafficOptions): Contestant[] {
  const { course, peers, site, load } = options;
  return peers.map((peer) => ({
    name: peer.name,
    async enter() {
      const running = await peer.start(course.site(site));
      await warmUp(course.warmUp, (seconds) => load(running, seconds));
      return {
        round: async () => ({
          ...(await measure(running, options)),
          ...(await options.ask?.(running)),
        }),
        leave: () => running.stop(),
      };
    },
  }));
}

async function measure(running: RunningPeer, options: TrafficOptions): Promise<Figures> {
  const { course, scale, units = 1, load } = options;
  const { pid } = running;
  const upstream = course.upstreamCpu();
  const before = pid === undefined ? 0 : cpuSeconds(pid);
  const result = await load(running, course.seconds);
  const cpu = pid === undefined ? undefined : cpuSeconds(pid) - before;
  return {
    ...(cpu !== undefined && { cpu: (cpu * scale) / result.units }),
    rate: result.units / units / result.seconds,
    ...(result.p50 > 0 && { p50: result.p50, p99: result.p99 }),
    failed: result.failed,
    ...generatorOf(result),
    upstream: (course.upstreamCpu() - upstream) / result.seconds,
  };
}
