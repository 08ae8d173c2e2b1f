import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificates } from '../test/support/certificates.ts';
import { UPSTREAM } from './build.ts';
import { HOST, type Peer, TOKEN } from './peers/peer.ts';
import { OURS } from './peers/peers.ts';
import { cpuSeconds } from './process-tree.ts';
import { freePorts, startProgram } from './programs.ts';
import type { Course } from './rows/row.ts';

const RULES = 1_000;
const PAGE = 'x'.repeat(128);

export interface OpenCourse extends Course {
  close(): Promise<void>;
}

/** Starts what all rows lead to: nginx, which answers small pages, over TLS those who have the token, and the end of the tunnels. */
export async function openCourse(
  peers: readonly Peer[],
  { seconds, warmUp }: Pick<Course, 'seconds' | 'warmUp'>,
): Promise<OpenCourse> {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-bench-'));
  // Squid as root goes on as another user, who has to get here.
  chmodSync(dir, 0o755);
  const [httpPort, httpsPort, tunnelPort] = (await freePorts(3)) as [number, number, number];
  const { ca, cert, key } = createCertificates(HOST);
  const caFile = join(dir, 'ca.pem');
  writeFileSync(caFile, ca);
  writeFileSync(join(dir, 'leaf.pem'), Buffer.concat([cert, key]));
  writeFileSync(join(dir, 'nginx.conf'), nginx(dir, httpPort, httpsPort));
  const args = ['-c', join(dir, 'nginx.conf'), '-e', join(dir, 'nginx.err')];
  const output = join(dir, 'upstreams.log');
  const pages = await startProgram('nginx', args, { output, ports: [httpPort, httpsPort] });
  const end = await startProgram(UPSTREAM, [String(tunnelPort)], { output, ports: [tunnelPort] });
  let sites = 0;
  return {
    ours: OURS,
    peers,
    seconds,
    warmUp,
    site({
      rules = RULES,
      checked = false,
      injects = false,
      intercepts = false,
      probe = undefined,
    } = {}) {
      const place = join(dir, String(sites++));
      mkdirSync(place);
      const choice = { rules, checked, injects, intercepts, probe };
      return { dir: place, httpPort, httpsPort, caFile, tunnelPort, ...choice };
    },
    upstreamCpu: () => cpuSeconds(pages.pid) + cpuSeconds(end.pid),
    async close() {
      await pages.stop();
      await end.stop();
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function nginx(dir: string, httpPort: number, httpsPort: number): string {
  return `
daemon off;
master_process off;
pid ${join(dir, 'nginx.pid')};
events { worker_connections 10000; }
http {
  access_log off;
  client_body_temp_path ${dir};
  keepalive_requests 1000000000;
  keepalive_timeout 10m;
  server {
    listen 127.0.0.1:${httpPort} backlog=4096;
    location / { return 200 "${PAGE}"; }
  }
  server {
    listen 127.0.0.1:${httpsPort} ssl backlog=4096;
    ssl_certificate ${join(dir, 'leaf.pem')};
    ssl_certificate_key ${join(dir, 'leaf.pem')};
    location / {
      if ($http_authorization != "token ${TOKEN}") { return 401; }
      return 200 "${PAGE}";
    }
  }
}
`;
}
