import { setTimeout as wait } from 'node:timers/promises';
import { collectGarbage } from '../heaps.ts';
import { loadChurn, loadHttp } from '../load.ts';
import { HOST, IDENTITY, IDENTITY_HEADER, type RunningPeer, type Site } from '../peers/peer.ts';
import { memoryOf } from '../process-tree.ts';
import type { Course, Figures, Row, Target } from './row.ts';

/** Compared are the second and the last: in the first, caches fill that are bounded, and code is compiled. */
const PARTS = 6;
/** Of each kind, in each part, and for each second that others are measured. */
const CONNECTIONS = 1_500;
const AT_ONCE = 32;
const SETTLE_MS = 2_000;

export const churn: Row = {
  name: 'churn',
  title: 'Memory of all processes after an hour’s worth of connections that come and go',
  columns: [
    { key: 'leaked', title: 'live MB, last less second part', digits: 2 },
    { key: 'live', title: 'live MB', digits: 1 },
    { key: 'rest', title: 'resident MB before', digits: 1 },
    { key: 'second', title: 'after the second part', digits: 1 },
    { key: 'last', title: 'after the last', digits: 1 },
    { key: 'worker', title: 'of it the worker', digits: 1 },
    { key: 'connections', title: 'connections', digits: 0 },
    { key: 'failed', title: 'failed', digits: 0 },
  ],
  targets: [
    growth('no leak: live memory after the last part, against the second', 'liveGrowth', 1.03),
    growth('no leak: resident memory likewise', 'residentGrowth', 1.1),
  ],
  notes: [
    `Requests and tunnels to ever other hosts, refusals, unknown identities, unreadable heads, each on a connection of its own from ever other addresses; and kept connections. All in ${PARTS} equal parts, each as fast as it goes; looked at when the load has gone and the garbage is collected.`,
    'Live is what is left in the heaps of all processes and what they hold outside of them; resident is what the system counts, and includes 16 MB of each worker’s memory of its latest exchanges.',
  ],
  mostRounds: 1,
  contestants: (course) => [
    {
      name: course.ours.name,
      enter: async () => ({ round: () => round(course), leave: async () => {} }),
    },
  ],
};

function growth(title: string, column: string, atMost: number): Target {
  return { title, atMost, values: (series) => series('sekisho', column) };
}

interface Seen {
  readonly live: number;
  readonly total: number;
  readonly worker: number;
}

async function round(course: Course): Promise<Figures> {
  const site = course.site({ probe: 'heaps' });
  const running = await course.ours.start(site);
  try {
    const pid = running.pid as number;
    await wait(SETTLE_MS);
    const rest = memoryOf(pid);
    const seen: Seen[] = [];
    let [connections, failed] = [0, 0];
    for (let part = 0; part < PARTS; part++) {
      for (const load of await sendPart(running, site, part, CONNECTIONS * course.seconds)) {
        connections += load.units;
        failed += load.failed;
      }
      await wait(SETTLE_MS);
      const live = await collectGarbage(pid, site.dir);
      seen.push({ live, ...memoryOf(pid) });
    }
    return { ...concluded(seen), rest: rest.total / 1e6, connections, failed };
  } finally {
    await running.stop();
  }
}

function concluded(seen: readonly Seen[]): Figures {
  const [second, last] = [seen[1], seen.at(-1)] as [Seen, Seen];
  return {
    leaked: (last.live - second.live) / 1e6,
    live: last.live / 1e6,
    second: second.total / 1e6,
    last: last.total / 1e6,
    worker: last.worker / 1e6,
    liveGrowth: last.live / second.live,
    residentGrowth: last.total / second.total,
  };
}

/** One kind after the other, so that each part ends as it began. */
async function sendPart({ http }: RunningPeer, site: Site, part: number, count: number) {
  const loads = [];
  for (const payload of payloads(site)) {
    const first = part * count;
    loads.push(await loadChurn({ port: http.port, connections: AT_ONCE, count, first, payload }));
  }
  await loadHttp({ ...http, connections: AT_ONCE, seconds: 1 });
  return loads;
}

/** The generator puts numbers in place of the marks. */
function payloads({ httpPort, tunnelPort }: Site): string[] {
  const request = (host: string, identity: string) =>
    `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${IDENTITY_HEADER}: ${identity}\r\n\r\n`;
  const web = `h########.${HOST}:${httpPort}`;
  const end = `h########.${HOST}:${tunnelPort}`;
  return [
    request(web, IDENTITY),
    `CONNECT ${end} HTTP/1.1\r\nHost: ${end}\r\n${IDENTITY_HEADER}: ${IDENTITY}\r\n\r\n${'r'.repeat(64)}`,
    request('h########.example.com', IDENTITY),
    request(web, 'nobody-########'),
    `NONSENSE ########\r\n\r\n`,
  ];
}
