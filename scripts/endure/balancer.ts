import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { startServer } from '../../test/support/servers.ts';
import { poll } from './poll.ts';
import { steadyPort } from './ports.ts';

export interface BalancedGateway {
  readonly name: string;
  readonly port: number;
  readonly healthPort: number;
}

/** A real HAProxy in front of the gateways. */
export interface Balancer {
  readonly port: number;
  /** Waits until it sends clients to a gateway, or sends it none. */
  sees(gateway: string, state: 'UP' | 'DOWN'): Promise<void>;
  stop(): Promise<void>;
}

/** In TCP mode, with the client's address in a PROXY header, led by the gateways' own readiness. */
export async function startBalancer(
  dir: string,
  gateways: readonly BalancedGateway[],
): Promise<Balancer> {
  const port = await steadyPort();
  const socket = join(dir, 'haproxy.sock');
  const servers = gateways.map(
    ({ name, port, healthPort }) => `  server ${name} 127.0.0.1:${port} check port ${healthPort}`,
  );
  const file = join(dir, 'haproxy.cfg');
  await writeFile(
    file,
    `global
  stats socket ${socket} mode 600
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
  timeout check 5s
  retries 3
  option redispatch 1
listen egress
  bind 127.0.0.1:${port}
  balance roundrobin
  option httpchk
  http-check send meth GET uri /readyz
  http-check expect status 200
  default-server inter 200ms fall 1 rise 1 send-proxy-v2
${servers.join('\n')}
`,
  );
  const { stop } = await startServer('haproxy', ['-db', '-f', file], [port]);
  return {
    port,
    sees: (gateway, state) =>
      poll(`HAProxy to see ${gateway} ${state}`, async () =>
        (await statusOf(socket, gateway)).startsWith(state),
      ),
    stop,
  };
}

/** `UP`, `DOWN`, `DOWN 1/2`, from HAProxy's own statistics. */
async function statusOf(path: string, gateway: string): Promise<string> {
  const socket = connect(path);
  socket.end('show stat\n');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  const [head = '', ...rows] = Buffer.concat(chunks).toString().split('\n');
  const column = head.split(',').indexOf('status');
  const row = rows.find((text) => text.startsWith(`egress,${gateway},`));
  return row?.split(',')[column] ?? '';
}
