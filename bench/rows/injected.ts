import { loadHttp } from '../load.ts';
import { mitmproxy } from '../peers/mitmproxy.ts';
import { sekisho } from '../peers/sekisho.ts';
import { efficiency, type Row, ratio } from './row.ts';
import { type TrafficOptions, traffic, trafficColumns } from './traffic.ts';

const CONNECTIONS = 64;

/** What the gateway takes for the same page where nothing is injected and nothing is encrypted. */
const plain = sekisho(1, 'sekisho, plain');

export const injected: Row = {
  name: 'injected',
  title: `Injected: plain requests that go on over TLS with a token, on ${CONNECTIONS} kept connections`,
  columns: trafficColumns('µs/request', 'requests/s'),
  targets: [
    efficiency('requests per CPU-second, against mitmproxy', mitmproxy.name, 5),
    {
      title: 'CPU of a request, against plain HTTP',
      atMost: 2,
      values: (series) => ratio(series, plain.name, 'sekisho', 'cpu'),
    },
  ],
  notes: [
    'The upstream’s certificate is verified, and it answers only requests that carry the token. The gateway also searches each answer for it; mitmproxy does not.',
    'Of the peers only mitmproxy can be told to do this.',
  ],
  contestants: (course) => {
    const common: Omit<TrafficOptions, 'peers'> = {
      course,
      scale: 1e6,
      load: ({ http }, seconds) => loadHttp({ ...http, connections: CONNECTIONS, seconds }),
    };
    const peers = course.peers.filter((peer) => peer === mitmproxy);
    return [
      ...traffic({ ...common, peers: [course.ours, ...peers], site: { injects: true } }),
      ...traffic({ ...common, peers: [plain] }),
    ];
  },
};
