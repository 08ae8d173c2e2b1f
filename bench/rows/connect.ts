import { extension, hello, serverName, vector } from '../../test/support/client-hello.ts';
import { loadConnect } from '../load.ts';
import { HOST } from '../peers/peer.ts';
import { efficiency, type Row, type Target } from './row.ts';
import { traffic, trafficColumns } from './traffic.ts';

const CONNECTIONS = 32;
const RAW = Buffer.alloc(64, 'r');
const PADDING = 21;
const HELLO_LENGTH = 517;

/** As long as those of browsers, which pad theirs. */
function clientHello(): Buffer {
  const name = extension(0, vector(2, serverName(HOST)));
  const bare = hello(name, extension(PADDING)).length;
  return hello(name, extension(PADDING, Buffer.alloc(HELLO_LENGTH - bare)));
}

const targets: readonly Target[] = [
  efficiency('set-ups per CPU-second, against squid', 'squid', 1.5),
  efficiency('set-ups per CPU-second, against proxy-chain', 'proxy-chain', 3),
];

function connectRow(name: string, title: string, payload: Buffer, checked: boolean): Row {
  return {
    name,
    title,
    columns: trafficColumns('µs/set-up', 'set-ups/s'),
    targets,
    notes: ['haproxy opens no tunnels: it passes on connections to one place, without a head.'],
    contestants: (course) =>
      traffic({
        course,
        peers: [course.ours, ...course.peers],
        site: { checked },
        scale: 1e6,
        load: ({ tunnel }, seconds) =>
          loadConnect({ ...tunnel, payload, connections: CONNECTIONS, seconds }),
      }),
  };
}

export const connectRaw = connectRow(
  'connect-raw',
  'CONNECT, 64 bytes each way, close',
  RAW,
  false,
);

export const connectHello = connectRow(
  'connect-hello',
  'CONNECT, a ClientHello that sekisho checks, 64 bytes back, close',
  clientHello(),
  true,
);
