import { loadHttp } from '../load.ts';
import { sekisho } from '../peers/sekisho.ts';
import { signingFunction } from '../peers/signing-function.ts';
import type { Row } from './row.ts';
import { traffic, trafficColumns } from './traffic.ts';

/** Each has a process of the function to itself, as in Lambda. */
const CONNECTIONS = 4;

export const byFunction: Row = {
  name: 'function',
  title: `Injected by the signing function: requests through the agent, on ${CONNECTIONS} kept connections`,
  columns: trafficColumns('µs/request', 'requests/s'),
  targets: [],
  notes: [
    'The CPU of agent, function and what stands for Lambda between them, which checks no signature, is told as one.',
    'The function opens a connection for each request: none outlives the time for which Lambda freezes it.',
  ],
  contestants: (course) =>
    traffic({
      course,
      peers: [signingFunction, sekisho(1, 'gateway')],
      site: { injects: true },
      scale: 1e6,
      load: ({ http }, seconds) => loadHttp({ ...http, connections: CONNECTIONS, seconds }),
    }),
};
