import { setTimeout as wait } from 'node:timers/promises';
import { loadHttp } from '../load.ts';
import { memoryOf } from '../process-tree.ts';
import type { Row } from './row.ts';

const SETTLE_MS = 2_000;

export const rest: Row = {
  name: 'rest',
  title: 'Memory at rest, with 1,000 rules',
  columns: [
    { key: 'worker', title: 'MB of the (largest) worker', digits: 1 },
    { key: 'total', title: 'MB of all processes', digits: 1 },
    { key: 'afterWorker', title: 'worker after load', digits: 1 },
    { key: 'afterTotal', title: 'all after load', digits: 1 },
  ],
  targets: [
    {
      title: 'resident memory of a worker at rest, MB',
      atMost: 80,
      values: (series) => series('sekisho', 'worker'),
    },
  ],
  notes: ['Resident memory: pages that processes share are counted in each.'],
  mostRounds: 2,
  contestants: (course) =>
    [course.ours, ...course.peers]
      .filter(({ name }) => name !== 'direct')
      .map((peer) => ({
        name: peer.name,
        enter: async () => ({
          async round() {
            const running = await peer.start(course.site());
            try {
              const pid = running.pid as number;
              await wait(SETTLE_MS);
              const before = memoryOf(pid);
              await loadHttp({ ...running.http, connections: 64, seconds: course.seconds });
              await wait(SETTLE_MS);
              const after = memoryOf(pid);
              return {
                worker: before.worker / 1e6,
                total: before.total / 1e6,
                afterWorker: after.worker / 1e6,
                afterTotal: after.total / 1e6,
              };
            } finally {
              await running.stop();
            }
          },
          leave: async () => {},
        }),
      })),
};
