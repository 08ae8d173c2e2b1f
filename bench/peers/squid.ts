import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from '../../test/support/programs.ts';
import { freePorts, startProgram } from '../programs.ts';
import {
  connectHead,
  hosts,
  IDENTITY,
  IDENTITY_HEADER,
  type Peer,
  proxyRequest,
  type Site,
} from './peer.ts';

/** As teams set it up by hand: a header ACL, one list of hosts, an access log, no cache. */
export const squid: Peer = {
  name: 'squid',
  present: () => onPath('squid'),
  version: () =>
    /Version (\S+)/.exec(execFileSync('squid', ['-v'], { encoding: 'utf8' }))?.[1] ?? '',
  start,
};

async function start(site: Site) {
  const [port] = (await freePorts(1)) as [number];
  const file = join(site.dir, 'squid.conf');
  writeFileSync(file, configuration(site, port));
  let edition = 0;
  const write = () => {
    const list = [...hosts(site.rules), `edition-${edition++}.example.com`];
    writeFileSync(join(site.dir, 'hosts'), `${list.join('\n')}\n`);
  };
  write();
  // Squid as root goes on as another user.
  chmodSync(site.dir, 0o777);
  const output = join(site.dir, 'squid.out');
  const program = await startProgram('squid', ['-N', '-f', file], { output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: proxyRequest(site.httpPort) },
    tunnel: { port, head: connectHead(site.tunnelPort) },
    async reload() {
      write();
      process.kill(program.pid, 'SIGHUP');
    },
    stop: () => program.stop(),
  };
}

function configuration({ dir }: Site, port: number): string {
  return `
http_port 127.0.0.1:${port}
acl known req_header ${IDENTITY_HEADER} ^${IDENTITY}$
acl permitted dstdomain "${join(dir, 'hosts')}"
http_access allow known permitted
http_access deny all
request_header_access ${IDENTITY_HEADER} deny all
cache deny all
cache_mem 8 MB
max_filedescriptors 20000
access_log stdio:${join(dir, 'access.log')} squid
cache_log ${join(dir, 'cache.log')}
pid_filename ${join(dir, 'squid.pid')}
coredump_dir ${dir}
pinger_enable off
visible_hostname bench.test
shutdown_lifetime 0 seconds
`;
}
