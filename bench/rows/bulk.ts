import { loadBulk } from '../load.ts';
import { efficiency, type Row } from './row.ts';
import { traffic, trafficColumns } from './traffic.ts';

const CONNECTIONS = 4;
const GB = 1e9;
/** mitmproxy looks at several bytes before it passes on any. */
const COMMAND_LENGTH = 16;

function bulkRow(name: string, direction: string, command: string): Row {
  return {
    name,
    title: `Bulk through ${CONNECTIONS} tunnels, ${direction}`,
    columns: trafficColumns('ms/GB', 'MB/s'),
    targets: [
      efficiency('bytes per CPU-second, against squid', 'squid', 3),
      {
        title: 'throughput, as a part of a direct transfer',
        atLeast: 0.6,
        values: (series) => {
          const floor = series('direct', 'rate');
          return series('sekisho', 'rate').flatMap((rate, i) =>
            floor[i] === undefined ? [] : [rate / floor[i]],
          );
        },
      },
    ],
    notes: ['haproxy passes on connections to one place, with splice(2).'],
    contestants: (course) =>
      traffic({
        course,
        peers: [course.ours, ...course.peers],
        scale: 1e3 * GB,
        units: 1e6,
        load: ({ tunnel }, seconds) => {
          const payload = Buffer.alloc(COMMAND_LENGTH, command);
          return loadBulk({ ...tunnel, payload, connections: CONNECTIONS, seconds });
        },
      }),
  };
}

export const bulkDown = bulkRow('bulk-down', 'from the upstream', 'D');
export const bulkUp = bulkRow('bulk-up', 'to the upstream', 'U');
