import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from '../../test/support/programs.ts';
import { freePorts, startProgram } from '../programs.ts';
import { connectHead, hosts, type Peer, proxyRequest, type Site } from './peer.ts';

/** It knows no identity by header, so Basic; it closes every connection after one request. */
export const tinyproxy: Peer = {
  name: 'tinyproxy',
  present: () => onPath('tinyproxy'),
  version: () => execFileSync('tinyproxy', ['-v'], { encoding: 'utf8' }).trim().split(' ')[1] ?? '',
  start,
};

const USER = 'bench';
const PASSWORD = 'open-sesame';
const IDENTITY = `Proxy-Authorization: Basic ${btoa(`${USER}:${PASSWORD}`)}\r\n`;

async function start(site: Site) {
  const [port] = (await freePorts(1)) as [number];
  const file = join(site.dir, 'tinyproxy.conf');
  const list = join(site.dir, 'filter');
  writeFileSync(list, `${hosts(site.rules).join('\n')}\n`);
  writeFileSync(
    file,
    `
Port ${port}
Listen 127.0.0.1
MaxClients 20000
Timeout 600
BasicAuth ${USER} ${PASSWORD}
Filter "${list}"
FilterType fnmatch
FilterDefaultDeny Yes
LogFile "${join(site.dir, 'access.log')}"
LogLevel Connect
`,
  );
  const output = join(site.dir, 'tinyproxy.out');
  const program = await startProgram('tinyproxy', ['-d', '-c', file], { output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: proxyRequest(site.httpPort, IDENTITY) },
    tunnel: { port, head: connectHead(site.tunnelPort, IDENTITY) },
    stop: () => program.stop(),
  };
}
