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
  intercepted,
  type Peer,
  pageRequest,
  type Site,
  TOKEN,
} from './peer.ts';

/** With the same rules as an addon; tunnels stay closed to it, unless the site intercepts: then their identity is that of the CONNECT. */
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
INJECTS = ${site.injects ? 'True' : 'False'}
KNOWN = set()

def check(flow):
    known = flow.request.headers.pop("${IDENTITY_HEADER}", None) == "${IDENTITY}"
    if not (known or flow.client_conn.id in KNOWN) or flow.request.host not in PERMITTED:
        flow.response = http.Response.make(403)

def request(flow):
    check(flow)
    if INJECTS and flow.response is None:
        flow.request.scheme = "https"
        flow.request.headers["Authorization"] = "token ${TOKEN}"

def http_connect(flow):
    check(flow)
    if flow.response is None:
        KNOWN.add(flow.client_conn.id)

def client_disconnected(client):
    KNOWN.discard(client.id)
`,
  );
  const listen = ['--listen-host', '127.0.0.1', '--listen-port', String(port)];
  const trust = ['--set', `ssl_verify_upstream_trusted_ca=${site.caFile}`];
  const dir = ['--set', `confdir=${site.dir}`];
  const closed = site.intercepts ? [] : ['--ignore-hosts', '.*'];
  const args = [...listen, ...dir, ...trust, ...closed, '-s', addon];
  const output = join(site.dir, 'mitmproxy.log');
  const program = await startProgram('mitmdump', args, { output, ports: [port] });
  return {
    pid: program.pid,
    http: { port, request: pageRequest(site) },
    tunnel: { port, head: connectHead(site.tunnelPort) },
    ...(site.intercepts && {
      intercepted: intercepted(site, port, join(site.dir, 'mitmproxy-ca-cert.pem')),
    }),
    stop: () => program.stop(),
  };
}
