import { holdIdle, loadHttp } from '../load.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { sekisho } from '../peers/sekisho.ts';
import { type Figures, type Row, ratio } from './row.ts';
import { traffic, trafficColumns } from './traffic.ts';

const [one, two] = [sekisho(1, '1 worker'), sekisho(2, '2 workers')];
/** So many that chance alone hardly takes the halves further apart than a twentieth. */
const CONNECTIONS = 1_000;
const OPENING_SECONDS = 10;

export const workers: Row = {
  name: 'workers',
  title: 'Plain HTTP with one worker and with two',
  columns: [
    ...trafficColumns('µs/request', 'requests/s'),
    { key: 'busiest', title: 'busiest worker’s connections', digits: 3 },
  ],
  targets: [
    {
      title: 'requests/s of two workers, against one',
      atLeast: 1.8,
      values: (series) => ratio(series, one.name, two.name, 'rate'),
    },
    {
      title: `of ${CONNECTIONS} connections, the part that the busier of two workers has`,
      atMost: 0.55,
      values: (series) => series(two.name, 'busiest'),
    },
  ],
  notes: [
    'The first target is for two idle cores beside those of load generator and nginx, which run on the same machine: beside each worker that has a core to itself they take a quarter of one and more, and the primary a little. With two cores in all, the second worker gets what they leave, and the target is out of reach.',
    'The kernel deals connections out by a hash of their addresses: of few, such as the 64 of this load, one worker may well have two thirds.',
  ],
  contestants: (course) =>
    traffic({
      course,
      peers: [one, two],
      scale: 1e6,
      load: ({ http }, seconds) => loadHttp({ ...http, connections: 64, seconds }),
      ask: spread,
    }),
};

async function spread({ tunnel, connections }: RunningPeer): Promise<Figures> {
  const held = await holdIdle({
    ...tunnel,
    payload: Buffer.alloc(64, 'r'),
    connections: CONNECTIONS,
    seconds: OPENING_SECONDS,
  });
  const counts = (await connections?.()) ?? [];
  await held.close();
  const all = counts.reduce((sum, count) => sum + count, 0);
  return { busiest: Math.max(...counts) / all };
}
