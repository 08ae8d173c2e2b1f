/**
 * What tunnels cost on each of the two ways of passing their bytes, natively and in JavaScript:
 *
 *     node bench/tunnels.ts [rounds]
 *
 * A gateway of one worker for each way, asked in turns. CPU is the gateway's own, user and system, all of its processes:
 * it stays comparable on a machine that others use as well. Client and upstream are this process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const GB = 1_000_000_000;
const PIECE = Buffer.alloc(256 * 1024);
const SET_UPS = 2_000;
const AT_ONCE = 16;
const IDLE = 2_000;
/** Of the clock that /proc counts in. */
const TICKS = 100;
const rounds = Number(process.argv[2] ?? 5);

interface Gateway {
  readonly port: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const upstream = createServer({ noDelay: true }, serve).listen(0, '127.0.0.1');
await once(upstream, 'listening');
const { port } = upstream.address() as AddressInfo;
const ways = { native: await start('on'), 'in JavaScript': await start('off') };
try {
  for (const [way, gateway] of Object.entries(ways)) {
    // Once, while nothing was given back to the process that it could use again; but warm.
    await setUps(gateway);
    tell('idle tunnel', way, 'kB', [await idle(gateway)]);
  }
  for (const [what, unit, measure] of [
    ['bulk, down', 's of CPU for a GB', bulk],
    ['set-up, one small answer, close', 'µs of CPU', setUps],
  ] as const) {
    const figures: Record<string, number[]> = { native: [], 'in JavaScript': [] };
    for (let round = 0; round <= rounds; round++) {
      for (const [way, gateway] of Object.entries(ways)) {
        const figure = await measure(gateway);
        // The first warms up.
        if (round > 0) figures[way]?.push(figure);
      }
    }
    for (const [way, all] of Object.entries(figures)) tell(what, way, unit, all);
  }
} finally {
  await Promise.all(Object.values(ways).map((gateway) => gateway.stop()));
  upstream.close();
}

/** The upstream: sends a GB to whoever asks for it, and else as much as a small answer. */
function serve(socket: Socket): void {
  socket.on('error', () => {});
  socket.once('data', async (asked) => {
    if (asked[0] !== 0x67) return void socket.write('small answer');
    for (let left = GB; left > 0; left -= PIECE.length) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      if (!socket.write(piece)) await once(socket, 'drain');
    }
    socket.end();
  });
}

async function start(native: 'on' | 'off'): Promise<Gateway> {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-bench-'));
  const file = join(dir, 'sekisho.yaml');
  writeFileSync(file, policy());
  const bin = join(import.meta.dirname, '../bin/sekisho.js');
  const env = { ...process.env, SEKISHO_NATIVE: native };
  const child = spawn(process.execPath, [bin, 'run', '-c', file], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let listening = 0;
  for await (const line of createInterface(child.stderr)) {
    if (line.includes('"listening"')) listening = Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
    if (line.includes('"ready"')) break;
  }
  child.stderr.resume();
  const pid = child.pid as number;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return {
    port: listening,
    pids: [pid, ...children.map(Number)],
    async stop() {
      child.kill('SIGTERM');
      await once(child, 'exit');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function policy(): string {
  const rules = Array.from(
    { length: 1_000 },
    (_, i) => `  - { name: r${i}, allow: [local], to: [h${i}.example] }`,
  );
  return `version: 1
admin: { bind: "127.0.0.1:0" }
gateway: { workers: 1, drain: { notice: 0s, limit: 0s } }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ header: { name: X-Workload, value: { literal: bench } } }] } }
rules:
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${port}], addresses: [127.0.0.1], tls: off }
${rules.join('\n')}
`;
}

/** A tunnel, once the gateway has said 200. */
async function open(gateway: Gateway): Promise<Socket> {
  const socket = connect({ port: gateway.port, host: '127.0.0.1', noDelay: true });
  const authority = `raw.localhost:${port}`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: bench\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.includes(' 200 ')) throw new Error(String(answer));
  return socket;
}

async function bulk(gateway: Gateway): Promise<number> {
  const before = cpuSeconds(gateway);
  const socket = await open(gateway);
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.write('g');
  await once(socket, 'close');
  if (received !== GB) throw new Error(`${received} bytes arrived`);
  return cpuSeconds(gateway) - before;
}

async function setUps(gateway: Gateway): Promise<number> {
  const before = cpuSeconds(gateway);
  let left = SET_UPS;
  const one = async () => {
    while (left-- > 0) {
      const socket = await open(gateway);
      socket.write('x');
      await once(socket, 'data');
      socket.end();
      await once(socket, 'close');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return ((cpuSeconds(gateway) - before) / SET_UPS) * 1e6;
}

async function idle(gateway: Gateway): Promise<number> {
  const before = residentKb(gateway);
  const sockets: Socket[] = [];
  while (sockets.length < IDLE) {
    const socket = await open(gateway);
    socket.write('x');
    await once(socket, 'data');
    sockets.push(socket);
  }
  const grown = residentKb(gateway) - before;
  for (const socket of sockets) socket.destroy();
  return grown / IDLE;
}

function cpuSeconds({ pids }: Gateway): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS;
  }, 0);
}

function residentKb({ pids }: Gateway): number {
  return pids.reduce((sum, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  }, 0);
}

function tell(what: string, way: string, unit: string, figures: readonly number[]): void {
  const sorted = [...figures].sort((a, b) => a - b);
  const [least, middle, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)];
  const shown = [middle, least, most].map((figure) => figure?.toPrecision(3));
  process.stdout.write(`${what}, ${way}: ${shown[0]} ${unit} (${shown[1]} to ${shown[2]})\n`);
}
