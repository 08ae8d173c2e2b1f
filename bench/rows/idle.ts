import { setTimeout as wait } from 'node:timers/promises';
import { holdIdle, loadConnect } from '../load.ts';
import { openFilesLimit } from '../open-files.ts';
import type { Peer } from '../peers/peer.ts';
import { cpuSeconds, memoryOf } from '../process-tree.ts';
import type { Contestant, Course, Figures, Row } from './row.ts';

const TUNNELS = 10_000;
const PAYLOAD = Buffer.alloc(64, 'r');
const SETTLE_MS = 1_000;
const WARM_UP_SECONDS = 2;
/** Peers that are slow to open tunnels hold fewer: what one takes is told all the same. */
const OPENING_SECONDS = 10;
const OTHER_FILES = 1_000;
/** Two sockets, and what haproxy keeps for pipes. */
const FILES_PER_TUNNEL = 2.5;

/** For as many files as a process may open. */
function tunnelsWithin(files: number): number {
  return Math.min(TUNNELS, 1_000 * Math.floor((files - OTHER_FILES) / FILES_PER_TUNNEL / 1_000));
}

const tunnels = tunnelsWithin(openFilesLimit());

export const idle: Row = {
  name: 'idle',
  title: `${tunnels} idle tunnels, or as many as open in ${OPENING_SECONDS} s`,
  columns: [
    { key: 'kilobytes', title: 'anonymous kB/tunnel', digits: 1 },
    { key: 'tunnels', title: 'tunnels', digits: 0 },
    { key: 'resident', title: 'resident kB/tunnel', digits: 1 },
    { key: 'cpu', title: 'CPU ms/s while idle', digits: 1 },
    { key: 'failed', title: 'failed', digits: 0 },
  ],
  targets: [
    {
      title: 'user-space memory of a tunnel, kB',
      atMost: 4,
      values: (series) => series('sekisho', 'kilobytes'),
    },
  ],
  notes: [
    'What the process tree has allocated itself (user space), less what it had after some thousand short tunnels; the buffers of the kernel are not in it.',
  ],
  mostRounds: 2,
  contestants: (course) =>
    [course.ours, ...course.peers]
      .filter(({ name }) => name !== 'direct')
      .map((peer) => contestant(peer, course)),
};

/** A process of its own for each round: a heap that has grown once would hide what the next tunnels take. */
function contestant(peer: Peer, course: Course): Contestant {
  return {
    name: peer.name,
    enter: async () => ({ round: () => round(peer, course), leave: async () => {} }),
  };
}

async function round(peer: Peer, course: Course): Promise<Figures> {
  const running = await peer.start(course.site());
  try {
    const { pid, tunnel } = running;
    if (pid === undefined) throw new TypeError(`${peer.name} has no tunnels`);
    const load = { ...tunnel, payload: PAYLOAD };
    const warmUpSeconds = Math.min(WARM_UP_SECONDS, course.warmUp.leastSeconds);
    await loadConnect({ ...load, connections: 32, seconds: warmUpSeconds });
    await wait(SETTLE_MS);
    const before = memoryOf(pid);
    const held = await holdIdle({ ...load, connections: tunnels, seconds: OPENING_SECONDS });
    await wait(SETTLE_MS);
    const after = memoryOf(pid);
    const cpu = cpuSeconds(pid);
    await wait(SETTLE_MS);
    const idleCpu = cpuSeconds(pid) - cpu;
    await held.close();
    return {
      kilobytes: (after.anonymous - before.anonymous) / 1000 / held.opened.units,
      tunnels: held.opened.units,
      resident: (after.total - before.total) / 1000 / held.opened.units,
      cpu: (idleCpu * 1e6) / SETTLE_MS,
      failed: held.opened.failed,
    };
  } finally {
    await running.stop();
  }
}
