import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Balancer, startBalancer } from '../../test/support/balancer.ts';
import { createCertificates } from '../../test/support/certificates.ts';
import { startDns } from '../../test/support/dns-server.ts';
import { GatewayProcess } from './gateway-process.ts';
import { LoadProcess } from './load-process.ts';
import { startUpstreams, type Upstreams } from './upstreams.ts';

export interface SceneOptions {
  /** Of each gateway. */
  readonly workers: number;
  /** Requests a second. */
  readonly rate: number;
  readonly drain: { readonly noticeMs: number; readonly limitMs: number };
}

/** Upstreams, two gateways, a balancer before them, and the load: all of it at work. */
export interface Scene {
  readonly dir: string;
  readonly gateways: readonly GatewayProcess[];
  readonly balancer: Balancer;
  readonly load: LoadProcess;
  readonly upstreams: Upstreams;
  readonly drain: SceneOptions['drain'];
  /** Where the copies of a gateway's checkpoints are, and the public key to them. */
  readonly copies: (gateway: GatewayProcess) => string;
  readonly key: string;
  /** Stops all of it. @param keep leaves the folder, for somebody to look at */
  close(keep: boolean): Promise<void>;
}

const IDENTITY = 'open-sesame';
const TUNNELS_PER_REQUEST = 0.1;
const LONG_TUNNELS = 8;

export async function openScene(options: SceneOptions): Promise<Scene> {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-endure-'));
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (keep: boolean) => {
    for (const stop of stops.splice(0).reverse()) await stop();
    if (!keep) await rm(dir, { recursive: true, force: true });
  };
  try {
    return { ...(await build(dir, options, stops)), close };
  } catch (error) {
    await close(true);
    throw error;
  }
}

async function build(
  dir: string,
  { workers, rate, drain }: SceneOptions,
  stops: (() => Promise<unknown>)[],
): Promise<Omit<Scene, 'close'>> {
  const certificates = createCertificates('*.tls.localhost');
  const upstreams = await startUpstreams(certificates);
  stops.push(async () => upstreams.close());
  const dns = await startDns();
  stops.push(() => dns.close());
  await makeKeys(dir);
  const copies = ({ name }: { name: string }) => join(dir, `copies-${name}`);
  const gateways: GatewayProcess[] = [];
  for (const name of ['one', 'two']) {
    await mkdir(copies({ name }));
    const gateway = await GatewayProcess.prepare({
      name,
      dir: join(dir, name),
      workers,
      drain,
      resolver: dns.address,
      policy: (variant) => policy(upstreams, variant),
      audit: `audit: { checkpoint: { every: 1s, key: { file: ${join(dir, 'audit.key')} }, copyTo: ${copies({ name })} } }`,
    });
    stops.push(() => gateway.end('SIGKILL'));
    gateways.push(gateway);
  }
  await Promise.all(gateways.map((gateway) => gateway.start()));
  const balancer = await startBalancer(gateways, { sendsProxy: true });
  stops.push(() => balancer.stop());
  for (const { name } of gateways) await balancer.up(name);
  const { httpPort, rawPort, tlsPort } = upstreams;
  const load = new LoadProcess({
    ...{ port: balancer.port, httpPort, rawPort, tlsPort, rate },
    caFile: certificates.caFile,
    identity: IDENTITY,
    tunnelRate: rate * TUNNELS_PER_REQUEST,
    longTunnels: LONG_TUNNELS,
  });
  stops.push(() => load.stop());
  const key = join(dir, 'audit.pub');
  return { dir, gateways, balancer, load, upstreams, drain, copies, key };
}

async function makeKeys(dir: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = 'pem';
  await writeFile(join(dir, 'audit.key'), privateKey.export({ type: 'pkcs8', format: pem }), {
    mode: 0o600,
  });
  await writeFile(join(dir, 'audit.pub'), publicKey.export({ type: 'spki', format: pem }));
}

/** Allows the load the same in every variant. */
function policy({ httpPort, rawPort, tlsPort }: Upstreams, variant: number): string {
  const way = 'allow: [load], addresses: [127.0.0.1]';
  return `
principals:
  load: { identify: [{ header: { name: X-Load, value: { literal: ${IDENTITY} } } }] }
rules:
  - { name: http, ${way}, to: [api.localhost, .example], ports: [80, ${httpPort}] }
  - { name: raw, ${way}, to: [.raw.localhost], ports: [${rawPort}], tls: off }
  - { name: tls, ${way}, to: [.tls.localhost], ports: [${tlsPort}] }
  - { name: variant, ${way}, to: [variant-${variant}.example], ports: [443] }`;
}
