import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { freePort, startServer } from './servers.ts';

/** A real Squid that wants Basic credentials and knows names of its own. */
export interface Squid {
  readonly port: number;
  readonly tlsPort: number;
  /** Its access log so far, in its native format: one entry a line. */
  log(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface SquidOptions {
  readonly user: string;
  readonly password: string;
  readonly certificates: Certificates;
  /** Lines of its own hosts file: `127.0.0.1 inside.test`. */
  readonly hosts: readonly string[];
}

const HELPER = '/usr/lib/squid/basic_ncsa_auth';

export async function startSquid(options: SquidOptions): Promise<Squid> {
  const { user, password, certificates, hosts } = options;
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-squid-'));
  const at = (file: string) => join(dir, file);
  const [port, tlsPort] = [await freePort(), await freePort()];
  const digest = execFileSync('openssl', ['passwd', '-apr1', password], { encoding: 'utf8' });
  await writeFile(at('users'), `${user}:${digest}`);
  await writeFile(at('hosts'), hosts.map((line) => `${line}\n`).join(''));
  await writeFile(at('leaf.crt'), certificates.cert);
  await writeFile(at('leaf.key'), certificates.key);
  await writeFile(
    at('squid.conf'),
    `
http_port 127.0.0.1:${port}
https_port 127.0.0.1:${tlsPort} tls-cert=${at('leaf.crt')} tls-key=${at('leaf.key')}
auth_param basic program ${HELPER} ${at('users')}
auth_param basic children 1 startup=1
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
hosts_file ${at('hosts')}
cache deny all
cache_mem 8 MB
max_filedescriptors 1024
access_log stdio:${at('access.log')} squid
buffered_logs off
cache_log ${at('cache.log')}
pid_filename ${at('squid.pid')}
coredump_dir ${dir}
pinger_enable off
visible_hostname parent.test
shutdown_lifetime 0 seconds
`,
  );
  // Squid as root goes on as another user.
  await chmod(dir, 0o777);
  const server = await startServer('squid', ['-N', '-f', at('squid.conf')], [port, tlsPort]);
  return {
    port,
    tlsPort,
    log: async () => (await readFile(at('access.log'), 'utf8')).split('\n').filter(Boolean),
    async stop() {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
