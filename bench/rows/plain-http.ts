import { loadHttp } from '../load.ts';
import { efficiency, type Row } from './row.ts';
import { traffic, trafficColumns } from './traffic.ts';

const CONNECTIONS = 64;

export const plainHttp: Row = {
  name: 'plain-http',
  title: `Plain HTTP: small answers on ${CONNECTIONS} kept connections`,
  columns: trafficColumns('µs/request', 'requests/s'),
  targets: [efficiency('requests per CPU-second, against squid', 'squid', 2)],
  notes: ['tinyproxy closes every connection after its answer, so each request opens two.'],
  contestants: (course) =>
    traffic({
      course,
      peers: [course.ours, ...course.peers],
      scale: 1e6,
      load: ({ http }, seconds) => loadHttp({ ...http, connections: CONNECTIONS, seconds }),
    }),
};
