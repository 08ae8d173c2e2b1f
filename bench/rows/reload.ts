import { setTimeout as wait } from 'node:timers/promises';
import { loadHttp } from '../load.ts';
import type { Peer } from '../peers/peer.ts';
import { cpuSeconds } from '../process-tree.ts';
import type { Contestant, Course, Row } from './row.ts';

const RULES = 10_000;
const RATE = 1_000;
const RELOADS = 3;
const BETWEEN_MS = 1_000;

export const reload: Row = {
  name: 'reload',
  title: `A policy of ${RULES} rules replaced ${RELOADS} times under ${RATE} requests/s`,
  columns: [
    { key: 'cpu', title: 'CPU ms/reload', digits: 0 },
    { key: 'failed', title: 'failed', digits: 0 },
    { key: 'pause', title: 'longest pause ms', digits: 1 },
    { key: 'p99', title: 'p99 ms', digits: 2 },
    { key: 'quiet', title: 'longest without, ms', digits: 1 },
    { key: 'still', title: 'worker still ms', digits: 1 },
    { key: 'quietStill', title: 'still without, ms', digits: 1 },
    { key: 'busy', title: 'worker busy ms', digits: 1 },
    { key: 'quietBusy', title: 'busy without, ms', digits: 1 },
  ],
  targets: [
    { title: 'failed exchanges', atMost: 0, values: (series) => series('sekisho', 'failed') },
    { title: 'longest pause, ms', atMost: 20, values: (series) => series('sekisho', 'pause') },
    { title: 'worker still, ms', atMost: 20, values: (series) => series('sekisho', 'still') },
    { title: 'worker busy, ms', atMost: 20, values: (series) => series('sekisho', 'busy') },
  ],
  notes: [
    'The pause is the latency of the slowest request, counted from when it was due; beside it that of as long a time without a reload. A worker is still while its event loop does not turn, for its own work or because others have its core; it is busy for the CPU time that its thread takes between two turns. Squid reads its list of hosts anew.',
  ],
  contestants: (course) =>
    [course.ours, ...course.peers]
      .filter(({ name }) => name === course.ours.name || name === 'squid')
      .map((peer) => contestant(peer, course)),
};

function contestant(peer: Peer, course: Course): Contestant {
  return {
    name: peer.name,
    async enter() {
      const running = await peer.start(course.site({ rules: RULES, stalls: true }));
      const pid = running.pid as number;
      const seconds = ((RELOADS + 1) * BETWEEN_MS) / 1000;
      const load = { ...running.http, connections: 32, rate: RATE, seconds };
      await loadHttp({ ...load, seconds: 1 });
      return {
        async round() {
          const begin = cpuSeconds(pid);
          running.stall?.();
          const quiet = await loadHttp(load);
          const quietStall = running.stall?.();
          const middle = cpuSeconds(pid);
          const loading = loadHttp(load);
          for (let n = 0; n < RELOADS; n++) {
            await Promise.all([wait(BETWEEN_MS), running.reload?.()]);
          }
          const loaded = await loading;
          const stall = running.stall?.();
          const extra = cpuSeconds(pid) - middle - (middle - begin);
          return {
            cpu: (Math.max(0, extra) * 1000) / RELOADS,
            failed: loaded.failed,
            pause: loaded.max,
            p99: loaded.p99,
            quiet: quiet.max,
            quietBusy: quietStall?.busiest ?? Number.NaN,
            quietStill: quietStall?.longest ?? Number.NaN,
            still: stall?.longest ?? Number.NaN,
            busy: stall?.busiest ?? Number.NaN,
          };
        },
        leave: () => running.stop(),
      };
    },
  };
}
