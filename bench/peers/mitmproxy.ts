import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
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

/** With the same rule as an addon; tunnels stay closed to it. */
export const mitmproxy: Peer = {
  name: 'mitmproxy',
  present: () => onPath('mitmdump'),
  version: () =>
    /Mitmproxy: (\S+)/.exec(execFileSync('mitmdump', ['--version'], { encoding: 'utf8' }))?.[1] ??
    '',
  start,
};

async function start(site: Site) {
  const [port] = (await freePorts(1)) as [number];
  const addon = join(site.dir, 'addon.py');
  writeFileSync(
    addon,
    `
from mitmproxy import http
PERMITTED = frozenset(${JSON.stringify(hosts(site.rules))})

def check(flow):
    known = flow.request.headers.pop("${IDENTITY_HEADER}", None) == "${IDENTITY}"
    if not known or flow.request.host not in PERMITTED:
        flow.response = http.Response.make(403)

def request(flow):
    check(flow)

def http_connect(flow):
    check(flow)
`,
  );
  const listen = ['--listen-host', '127.0.0.1', '--listen-port', String(port)];
  const args = [...listen, '--set', `confdir=${site.dir}`, '--ignore-hosts', '.*', '-s', addon];
  const output = join(site.dir, 'mitmproxy.log');
  const program = await startProgram('mitmdump', args, { output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: proxyRequest(site.httpPort) },
    tunnel: { port, head: connectHead(site.tunnelPort) },
    stop: () => program.stop(),
  };
}
