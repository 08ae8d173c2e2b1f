import { generatorOf, loadHttp } from '../load.ts';
import { direct } from '../peers/direct.ts';
import type { Peer } from '../peers/peer.ts';
import { cpuSeconds } from '../process-tree.ts';
import type { Contestant, Course, Row } from './row.ts';
import { warmUp } from './warm-up.ts';

const CONNECTIONS = 16;

export const latency: Row = {
  name: 'latency',
  title: 'Latency added on an open connection, at half of what each can do',
  columns: [
    { key: 'cpu', title: 'CPU µs/request', digits: 1 },
    { key: 'rate', title: 'requests/s', digits: 0 },
    { key: 'p50', title: 'p50 ms', digits: 2 },
    { key: 'addedP50', title: 'added p50', digits: 2 },
    { key: 'addedP99', title: 'added p99', digits: 2 },
    { key: 'addedP999', title: 'added p99.9', digits: 2 },
    { key: 'failed', title: 'failed', digits: 0 },
    { key: 'generator', title: 'generator’s cores', digits: 2 },
  ],
  targets: [
    { title: 'added p50, ms', atMost: 0.3, values: (series) => series('sekisho', 'addedP50') },
    { title: 'added p99, ms', atMost: 2, values: (series) => series('sekisho', 'addedP99') },
  ],
  notes: ['Requests come at a fixed rate; beside each is a direct run at the same one.'],
  contestants: (course) =>
    [course.ours, ...course.peers]
      .filter(({ name }) => name !== direct.name)
      .map((peer) => contestant(peer, course)),
};

function contestant(peer: Peer, course: Course): Contestant {
  const { seconds } = course;
  return {
    name: peer.name,
    async enter() {
      const site = course.site();
      const [running, floor] = [await peer.start(site), await direct.start(site)];
      const full = { ...running.http, connections: CONNECTIONS, seconds };
      await warmUp(course.warmUp, (slice) => loadHttp({ ...full, seconds: slice }));
      const most = await loadHttp(full);
      const rate = Math.floor(most.units / most.seconds / 2);
      return {
        async round() {
          const cpu = cpuSeconds(running.pid as number);
          const through = await loadHttp({ ...full, rate });
          const used = cpuSeconds(running.pid as number) - cpu;
          const without = await loadHttp({ ...full, ...floor.http, rate });
          return {
            cpu: (used * 1e6) / through.units,
            rate,
            p50: through.p50,
            addedP50: through.p50 - without.p50,
            addedP99: through.p99 - without.p99,
            addedP999: through.p999 - without.p999,
            failed: through.failed,
            ...generatorOf(through),
          };
        },
        leave: () => running.stop(),
      };
    },
  };
}
