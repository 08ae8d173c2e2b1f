import { join } from 'node:path';
import { freePorts, startProgram } from '../programs.ts';
import { connectHead, type Peer, pageRequest, type Site } from './peer.ts';
import { OURS } from './peers.ts';

/** `sekisho agent` and the signing function, with what stands for Lambda between them. */
export const signingFunction: Peer = {
  name: 'agent and function',
  present: () => true,
  version: OURS.version,
  start,
};

async function start(site: Site) {
  const [port] = (await freePorts(1)) as [number];
  const server = join(import.meta.dirname, 'signing-function-server.ts');
  const args = [server, String(port), JSON.stringify(site)];
  const output = join(site.dir, 'signing-function.out');
  const program = await startProgram(process.execPath, args, { output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: pageRequest(site) },
    tunnel: { port, head: connectHead(site.tunnelPort) },
    stop: () => program.stop(),
  };
}
