import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, startProgram } from '../programs.ts';
import { connectHead, type Peer, proxyRequest, type Site } from './peer.ts';

/** The proxy that is most used from npm, in a program that does for it what the rules of others do. */
export const proxyChain: Peer = {
  name: 'proxy-chain',
  present: () => true,
  version: () =>
    JSON.parse(readFileSync('node_modules/proxy-chain/package.json', 'utf8')).version as string,
  start,
};

async function start(site: Site) {
  const [port] = (await freePorts(1)) as [number];
  const server = join(import.meta.dirname, 'proxy-chain-server.ts');
  const args = [server, String(port), String(site.rules), join(site.dir, 'access.log')];
  const output = join(site.dir, 'proxy-chain.out');
  const program = await startProgram(process.execPath, args, { output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: proxyRequest(site.httpPort) },
    tunnel: { port, head: connectHead(site.tunnelPort) },
    stop: () => program.stop(),
  };
}
