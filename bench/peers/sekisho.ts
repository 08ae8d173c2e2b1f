import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { GATEWAY } from '../build.ts';
import { freePorts, startProgram } from '../programs.ts';
import {
  connectHead,
  HOST,
  hosts,
  IDENTITY,
  IDENTITY_HEADER,
  type Peer,
  proxyRequest,
  type Site,
  type Stall,
} from './peer.ts';

const ASK_AGAIN_MS = 20;
const STALLS = new URL('../stalls.ts', import.meta.url);

/** The gateway, built, with everything on: identity, rules, the record. */
export function sekisho(workers: number, name = 'sekisho'): Peer {
  return {
    name,
    present: () => true,
    version: () => git('describe', '--always', '--dirty'),
    start: (site) => start(site, workers),
  };
}

/** Of the checkout: a version lasts longer than a measurement holds. */
function git(...args: readonly string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trim();
}

async function start(site: Site, workers: number) {
  const [port] = (await freePorts(1)) as [number];
  const file = join(site.dir, 'sekisho.yaml');
  const output = join(site.dir, 'sekisho.log');
  let policies = 0;
  const write = () => {
    writeFileSync(`${file}.new`, policy(site, port, workers, policies++));
    renameSync(`${file}.new`, file);
  };
  write();
  const args = [GATEWAY, 'run', '-c', file];
  const stalls = join(site.dir, 'stalls');
  const env = {
    BENCH_IDENTITY: IDENTITY,
    ...(site.stalls && { BENCH_STALLS: stalls, NODE_OPTIONS: `--import ${STALLS}` }),
  };
  const program = await startProgram(process.execPath, args, { env, output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: proxyRequest(site.httpPort) },
    tunnel: { port, head: connectHead(site.tunnelPort) },
    async reload() {
      const before = reloads(output);
      write();
      process.kill(program.pid, 'SIGHUP');
      while (reloads(output) === before) await wait(ASK_AGAIN_MS);
    },
    stall: () => worstStall(stalls, program.pid),
    stop: () => program.stop(),
  };
}

/** Of the processes but the primary, since it was asked last. */
function worstStall(file: string, primary: number): Stall {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  writeFileSync(file, '');
  const stalls = lines
    .map((line) => line.split(' ').map(Number) as [number, number, number])
    .filter(([pid]) => pid !== primary);
  return {
    longest: Math.max(0, ...stalls.map(([, longest]) => longest)),
    busiest: Math.max(0, ...stalls.map(([, , busiest]) => busiest)),
  };
}

function reloads(log: string): number {
  return readFileSync(log, 'utf8').split('"msg":"reloaded"').length - 1;
}

function policy({ dir, rules, checked }: Site, port: number, workers: number, edition: number) {
  const tls = checked ? 'required' : 'off';
  const rule = (host: string, i: number) =>
    host === HOST
      ? `{ name: r${i}, allow: [bench], to: [${HOST}.], ports: ["1-65535"], tls: ${tls}, addresses: [127.0.0.1] }`
      : `{ name: r${i}, allow: [bench], to: [${host}] }`;
  const all = [...hosts(rules).slice(1), `edition-${edition}.example.com`].map(rule);
  return `version: 1
gateway: { name: bench, contact: "bench@example.com", dataDir: ${join(dir, 'var')}, workers: ${workers} }
admin: { bind: "127.0.0.1:0" }
listeners:
  egress:
    type: forward-proxy
    bind: "127.0.0.1:${port}"
    limits: { connections: 20000, perClient: 20000 }
principals:
  bench: { identify: [{ header: { name: ${IDENTITY_HEADER}, value: { env: BENCH_IDENTITY } } }] }
rules:
${all.map((line) => `  - ${line}`).join('\n')}
`;
}
