import { HOST, type Peer } from './peer.ts';

/** Nothing between: the floor. */
export const direct: Peer = {
  name: 'direct',
  present: () => true,
  version: () => '',
  start: async ({ httpPort, tunnelPort }) => ({
    pid: undefined,
    http: { port: httpPort, request: `GET / HTTP/1.1\r\nHost: ${HOST}:${httpPort}\r\n\r\n` },
    tunnel: { port: tunnelPort, head: '' },
    stop: async () => {},
  }),
};
