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
  intercepted,
  type Peer,
  type Probe,
  pageRequest,
  type Site,
  TOKEN,
} from './peer.ts';

const ASK_AGAIN_MS = 20;
const PULSE_MS = 1_500;
/** In the environment of whatever reads the policy. */
const SECRETS = { BENCH_IDENTITY: IDENTITY, BENCH_TOKEN: TOKEN };
/** Loaded first by each of its processes. */
const PROBES: Readonly<Record<Probe, URL>> = {
  stalls: new URL('../stalls.ts', import.meta.url),
  heaps: new URL('../collect.js', import.meta.url),
};

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
  const [port, admin] = (await freePorts(2)) as [number, number];
  const file = join(site.dir, 'sekisho.yaml');
  const output = join(site.dir, 'sekisho.log');
  let policies = 0;
  const write = () => {
    writeFileSync(`${file}.new`, policy(site, { port, admin, workers }, policies++));
    renameSync(`${file}.new`, file);
  };
  write();
  const args = [GATEWAY, 'run', '-c', file];
  const env = {
    ...SECRETS,
    BENCH_DIR: site.dir,
    ...(site.probe && { NODE_OPTIONS: `--import ${PROBES[site.probe]}` }),
  };
  const program = await startProgram(process.execPath, args, { env, output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: pageRequest(site) },
    tunnel: { port, head: connectHead(site.tunnelPort) },
    ...(site.intercepts && {
      intercepted: intercepted(site, port, join(site.dir, 'var', 'intercept-ca.crt')),
    }),
    async reload() {
      const before = reloads(output);
      write();
      process.kill(program.pid, 'SIGHUP');
      while (reloads(output) === before) await wait(ASK_AGAIN_MS);
    },
    stall: () => longestStall(join(site.dir, 'stalls'), program.pid),
    connections: () => connectionsOf(file),
    stop: () => program.stop(),
  };
}

/** Of the processes but the primary, since it was asked last. */
function longestStall(file: string, primary: number): number {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  writeFileSync(file, '');
  const stalls = lines.map((line) => line.split(' ').map(Number) as [number, number]);
  return Math.max(0, ...stalls.flatMap(([pid, ms]) => (pid === primary ? [] : [ms])));
}

/** As its own command tells: what each worker said a second ago at most. */
async function connectionsOf(file: string): Promise<number[]> {
  await wait(PULSE_MS);
  const told = execFileSync(process.execPath, [GATEWAY, 'status', '-c', file, '--json'], {
    encoding: 'utf8',
    env: { ...process.env, ...SECRETS },
  });
  const { workers } = JSON.parse(told) as { workers: { connections: number }[] };
  return workers.map(({ connections }) => connections);
}

function reloads(log: string): number {
  return readFileSync(log, 'utf8').split('"msg":"reloaded"').length - 1;
}

interface Shape {
  readonly port: number;
  readonly admin: number;
  readonly workers: number;
}

function policy(site: Site, { port, admin, workers }: Shape, edition: number) {
  const { dir, rules, checked, injects, intercepts, caFile } = site;
  const tls = checked ? 'tls: required' : 'tls: off';
  const rule = (host: string, i: number) =>
    host.endsWith(HOST)
      ? `{ name: r${i}, allow: [bench], to: [${host === HOST ? `${host}.` : host}], ports: ["1-65535"], addresses: [127.0.0.1], ${injects && host === HOST ? `with: token, intercept: ${intercepts}` : tls} }`
      : `{ name: r${i}, allow: [bench], to: [${host}] }`;
  const all = [...hosts(rules).slice(1), `edition-${edition}.example.com`].map(rule);
  // Names without end, for what opens and closes.
  all.push(rule(`.${HOST}`, rules));
  return `version: 1
gateway: { name: bench, contact: "bench@example.com", dataDir: ${join(dir, 'var')}, workers: ${workers} }
admin: { bind: "127.0.0.1:${admin}" }
listeners:
  egress:
    type: forward-proxy
    bind: "127.0.0.1:${port}"
    limits: { connections: 20000, perClient: 20000 }
principals:
  bench: { identify: [{ header: { name: ${IDENTITY_HEADER}, value: { env: BENCH_IDENTITY } } }] }
rules:
${all.map((line) => `  - ${line}`).join('\n')}
${injects ? credential(caFile) : ''}`;
}

function credential(caFile: string): string {
  return `credentials:
  token:
    for: ${HOST}.
    tls: { ca: { file: ${caFile} } }
    header: { Authorization: ["token ", { env: BENCH_TOKEN }] }
`;
}
