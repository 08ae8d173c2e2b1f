import { readFileSync } from 'node:fs';
import { mitmproxy } from '../peers/mitmproxy.ts';
import { HOST } from '../peers/peer.ts';
import { loadTls } from '../tls-load.ts';
import { efficiency, type Row } from './row.ts';
import { traffic, trafficColumns } from './traffic.ts';

const CONNECTIONS = 32;

export const intercept: Row = {
  name: 'intercept',
  title: `Intercepted: requests within the TLS of tunnels, that go on over TLS with a token, on ${CONNECTIONS} kept connections`,
  columns: trafficColumns('µs/request', 'requests/s'),
  targets: [efficiency('requests per CPU-second, against mitmproxy', mitmproxy.name, 5)],
  notes: [
    'The client trusts the CA of the proxy alone, and the proxy that of the upstream, which answers only requests that carry the token. The gateway also searches each answer for it; mitmproxy does not.',
    'The load comes from this program itself, in JavaScript.',
  ],
  contestants: (course) =>
    traffic({
      course,
      peers: [course.ours, ...course.peers.filter((peer) => peer === mitmproxy)],
      site: { injects: true, intercepts: true },
      scale: 1e6,
      load({ intercepted }, seconds) {
        if (intercepted === undefined) throw new TypeError('a peer that opens no TLS');
        const { port, head, request, caFile } = intercepted;
        const ca = readFileSync(caFile, 'utf8');
        const session = { port, head, request, ca, servername: HOST };
        return loadTls({ ...session, connections: CONNECTIONS, seconds });
      },
    }),
};
