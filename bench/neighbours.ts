/**
 * What a well-behaved client notices of bad neighbours: `node bench/neighbours.ts [rounds]`.
 *
 * One keep-alive connection asks for a small page, 100 times a second at most, first alone, then while an attack is under way.
 * Gateway, attacker and client are three processes; every attack has a gateway of its own. Prints medians of the rounds.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { on, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

const ROUNDS = Number(process.argv[2] ?? 3);
const PERIOD_MS = 10;
const ALONE_MS = 3_000;
const DURING_MS = 6_000;
/** Of the kernel's clock, which Linux tells programs in hundredths of a second. */
const TICK_MS = 10;

const ATTACKS: Readonly<Record<string, string>> = {
  idle: '19,500 idle connections',
  'drip-heads': '1,000 dripping heads',
  'slow-readers': '200 slow readers',
  downloads: '20 downloads at full speed',
  refusals: '2,000 refused requests/s',
  'silent-resolver': '500 names that never resolve',
  'beyond-limits': '1,000 connections/s beyond a limit',
};

interface Figures {
  readonly p50: number;
  readonly p99: number;
  /** Of the gateway, in MiB and in parts of one core. */
  readonly rss: number;
  readonly cpu: number;
}

interface Gateway {
  readonly process: ChildProcess;
  /** Of the listeners `egress` and `narrow`. */
  readonly ports: readonly [string, string];
}

async function startGateway(dir: string, dnsPort: number): Promise<Gateway> {
  const file = join(dir, 'sekisho.yaml');
  const limits = 'limits: { connections: 100000, perClient: 100000 }';
  writeFileSync(
    file,
    `version: 1
gateway: { dataDir: ${dir}, resolvers: ["127.0.0.1:${dnsPort}"] }
admin: { bind: "127.0.0.1:0" }
listeners:
  egress: { type: forward-proxy, bind: "127.0.0.1:0", ${limits} }
  narrow: { type: forward-proxy, bind: "127.0.0.1:0", limits: { perClient: 1 } }
principals: { local: { identify: [{ clientAddress: [127.0.0.0/8] }] } }
rules:
  - { name: api, allow: [local], to: [api.localhost, .test], ports: ["1-65535"], addresses: [127.0.0.1] }
`,
  );
  const bin = join(import.meta.dirname, '..', 'bin', 'sekisho.js');
  const child = spawn(process.execPath, [bin, 'run', '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return { process: child, ports: await portsOf(child.stderr) };
}

async function portsOf(log: Readable): Promise<[string, string]> {
  let text = '';
  for await (const [chunk] of on(log, 'data', { close: ['end'] })) {
    text += chunk;
    const [egress, narrow] = ['egress', 'narrow'].map(
      (name) => new RegExp(`"listener":"${name}".*?:(\\d+)"`).exec(text)?.[1],
    );
    if (egress !== undefined && narrow !== undefined) {
      log.resume();
      return [egress, narrow];
    }
  }
  throw new Error(`the gateway ended before it listened: ${text}`);
}

/** Milliseconds from each request to its answer: one every period, or as soon as the last one is answered. */
async function ask(socket: Socket, request: string, durationMs: number): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + durationMs;
  for (let due = performance.now(); due < end; due = Math.max(due + PERIOD_MS, performance.now())) {
    await wait(Math.max(0, due - performance.now()));
    const sent = performance.now();
    socket.write(request);
    await once(socket, 'data');
    latencies.push(performance.now() - sent);
  }
  return latencies.sort((a, b) => a - b);
}

async function measure(
  pid: number,
  socket: Socket,
  request: string,
  durationMs: number,
): Promise<Figures> {
  const [began, cpu] = [performance.now(), cpuMs(pid)];
  const latencies = await ask(socket, request, durationMs);
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] as number;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    p50: at(0.5),
    p99: at(0.99),
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    cpu: (cpuMs(pid) - cpu) / (performance.now() - began),
  };
}

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function round(attack: string, upstreamPort: number, dnsPort: number): Promise<Figures[]> {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-bench-'));
  const gateway = await startGateway(dir, dnsPort);
  const pid = gateway.process.pid as number;
  const [egress, narrow] = gateway.ports;
  const host = `api.localhost:${upstreamPort}`;
  const request = `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const socket = connect({ host: '127.0.0.1', port: Number(egress), noDelay: true });
  let attacker: ChildProcess | undefined;
  try {
    await ask(socket, request, 1_000);
    const alone = await measure(pid, socket, request, ALONE_MS);
    const port = attack === 'beyond-limits' ? narrow : egress;
    attacker = fork(join(import.meta.dirname, 'attacks.ts'), [attack, port]);
    await once(attacker, 'message');
    return [alone, await measure(pid, socket, request, DURING_MS)];
  } finally {
    attacker?.kill('SIGKILL');
    socket.destroy();
    gateway.process.kill('SIGKILL');
    await once(gateway.process, 'close');
    rmSync(dir, { recursive: true, force: true });
  }
}

function median(figures: readonly Figures[]): string {
  const middle = (key: keyof Figures) => {
    const sorted = figures.map((figure) => figure[key]).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] as number;
  };
  return [
    `${middle('p50').toFixed(2)} ms`.padStart(9),
    `${middle('p99').toFixed(2)} ms`.padStart(9),
    `${middle('rss').toFixed(0)} MiB`.padStart(8),
    `${(middle('cpu') * 100).toFixed(0)} %`.padStart(6),
  ].join(' | ');
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const upstream = createServer((socket) => {
  socket.on('error', () => {}).on('data', () => socket.write(ANSWER));
}).listen(0, '127.0.0.1');
await once(upstream, 'listening');
const dns = createSocket('udp4').bind(0, '127.0.0.1');
await once(dns, 'listening');

const alone: Figures[] = [];
const rows: string[] = [];
for (const [attack, title] of Object.entries(ATTACKS)) {
  const during: Figures[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    const ports = [(upstream.address() as AddressInfo).port, dns.address().port] as const;
    const [before, under] = (await round(attack, ...ports)) as [Figures, Figures];
    alone.push(before);
    during.push(under);
  }
  rows.push(`| ${title.padEnd(36)} | ${median(during)} |`);
}
console.log(`| ${'attack'.padEnd(36)} |       p50 |       p99 |      RSS |    CPU |`);
console.log(`|${'-'.repeat(38)}|----------:|----------:|---------:|-------:|`);
console.log(`| ${'none'.padEnd(36)} | ${median(alone)} |`);
for (const row of rows) console.log(row);
upstream.close();
dns.close();
