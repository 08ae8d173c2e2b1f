import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startServer } from './servers.ts';
import { steadyPort } from './steady-port.ts';

/** What the balancer spreads connections over: where it connects to, and where it asks for `/readyz`. */
export interface Balanced {
  readonly name: string;
  readonly port: number;
  readonly healthPort: number;
}

export interface Balancer {
  readonly port: number;
  /** Waits until the balancer sends connections to a server. */
  up(name: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * HAProxy before several gateways, as docs/install.md has it, but for the intervals. A check may take long: a gateway that is
 * busy is not one that is gone.
 *
 * @param options `sendsProxy`: the client's address goes ahead in a PROXY header
 */
export async function startBalancer(
  servers: readonly Balanced[],
  { sendsProxy } = { sendsProxy: false },
): Promise<Balancer> {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-balancer-'));
  const [port, socket, file] = [await steadyPort(), join(dir, 'stats'), join(dir, 'haproxy.cfg')];
  const lines = servers.map(
    (server) =>
      `  server ${server.name} 127.0.0.1:${server.port} check port ${server.healthPort} inter 100ms fall 2 rise 2${sendsProxy ? ' send-proxy-v2' : ''}`,
  );
  await writeFile(
    file,
    `
global
  stats socket ${socket}
defaults
  mode tcp
  timeout connect 2s
  timeout client 5m
  timeout server 5m
  timeout tunnel 5m
  timeout check 5s
listen egress
  bind 127.0.0.1:${port}
  balance leastconn
  option httpchk GET /readyz
  option redispatch
  retries 3
${lines.join('\n')}
`,
  );
  const server = await startServer('haproxy', ['-db', '-f', file], [port]);
  // It accepts connections before it answers there.
  while (!(await answers(socket))) await wait(20);
  return {
    port,
    async up(name) {
      // HAProxy tells nobody of a change: it is asked until it has seen it.
      while ((await statusOf(socket, name)) !== 'UP') await wait(20);
    },
    async stop() {
      await server.stop();
      await rm(dir, { recursive: true });
    },
  };
}

async function answers(path: string): Promise<boolean> {
  return statusOf(path, 'egress').then(
    () => true,
    () => false,
  );
}

/** Column `status` of the server's line: https://docs.haproxy.org/2.6/management.html#9.1 */
async function statusOf(path: string, name: string): Promise<string | undefined> {
  const socket = connect(path).setEncoding('utf8');
  let csv = '';
  socket.on('data', (text) => {
    csv += text;
  });
  socket.end('show stat\n');
  await once(socket, 'close');
  const [head = '', ...rows] = csv.replace('# ', '').trim().split('\n');
  const column = head.split(',').indexOf('status');
  const row = rows.map((line) => line.split(',')).find((cells) => cells[1] === name);
  return row?.[column];
}
