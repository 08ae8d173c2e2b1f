import { loadHttp } from '../load.ts';
import { sekisho } from '../peers/sekisho.ts';
import { type Row, ratio } from './row.ts';
import { traffic, trafficColumns } from './traffic.ts';

const [one, two] = [sekisho(1, '1 worker'), sekisho(2, '2 workers')];

export const workers: Row = {
  name: 'workers',
  title: 'Plain HTTP with one worker and with two',
  columns: trafficColumns('µs/request', 'requests/s'),
  targets: [
    {
      title: 'requests/s of two workers, against one',
      atLeast: 1.8,
      values: (series) => ratio(series, one.name, two.name, 'rate'),
    },
  ],
  notes: [
    'The target is for two idle cores. Load generator and nginx run on the same machine: where it has two cores, they take what the second worker would need.',
  ],
  contestants: (course) =>
    traffic({
      course,
      peers: [one, two],
      scale: 1e6,
      load: ({ http }, seconds) => loadHttp({ ...http, connections: 64, seconds }),
    }),
};
