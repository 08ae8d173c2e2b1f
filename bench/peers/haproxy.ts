import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from '../../test/support/programs.ts';
import { openFilesLimit } from '../open-files.ts';
import { freePorts, startProgram } from '../programs.ts';
import { hosts, IDENTITY, IDENTITY_HEADER, type Peer, proxyRequest, type Site } from './peer.ts';

/** The limit: no forward proxy. For tunnels, which it cannot open, it passes on every connection to the one place they lead to. */
export const haproxy: Peer = {
  name: 'haproxy',
  present: () => onPath('haproxy'),
  version: () =>
    /version (\S+?)-/.exec(execFileSync('haproxy', ['-v'], { encoding: 'utf8' }))?.[1] ?? '',
  start,
};

/** Two files each; the rest is for pipes. */
const FILES_FOR_CONNECTIONS = 0.38;

async function start(site: Site) {
  const [httpPort, tunnelPort] = (await freePorts(2)) as [number, number];
  const file = join(site.dir, 'haproxy.cfg');
  const list = join(site.dir, 'hosts');
  writeFileSync(list, `${hosts(site.rules).join('\n')}\n`);
  writeFileSync(
    file,
    `
global
  nbthread 1
  maxconn ${Math.floor(openFilesLimit() * FILES_FOR_CONNECTIONS)}
defaults
  log stdout format raw local0
  timeout connect 10s
  timeout client 5m
  timeout server 5m
frontend http
  mode http
  option httplog
  bind 127.0.0.1:${httpPort}
  http-request deny unless { req.hdr(${IDENTITY_HEADER}) ${IDENTITY} }
  http-request deny unless { req.hdr(host),field(1,:) -i -f ${list} }
  http-request del-header ${IDENTITY_HEADER}
  default_backend pages
backend pages
  mode http
  http-reuse always
  server nginx 127.0.0.1:${site.httpPort}
frontend tunnels
  mode tcp
  option tcplog
  option splice-auto
  bind 127.0.0.1:${tunnelPort}
  default_backend upstream
backend upstream
  mode tcp
  option splice-auto
  server upstream 127.0.0.1:${site.tunnelPort}
`,
  );
  const output = join(site.dir, 'haproxy.log');
  const ports = [httpPort, tunnelPort];
  const program = await startProgram('haproxy', ['-db', '-f', file], { output, ports });
  return {
    pid: program.pid,
    http: { port: httpPort, request: proxyRequest(site.httpPort) },
    tunnel: { port: tunnelPort, head: '' },
    stop: () => program.stop(),
  };
}
