import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { ECOSYSTEMS } from '../../src/cli/ca-ecosystems.ts';
import { ADMIN, startFakeAws } from './aws/fake-aws.ts';
import { Sts } from './aws/sts.ts';
import { createCertificates } from './certificates.ts';
import { type Finished, run } from './clients.ts';
import { startSecureUpstream, TOKEN } from './credential-gateway.ts';
import { startTestGateway } from './gateway.ts';
import { STRICT } from './programs.ts';
import { ROOT } from './sources.ts';
import type { StoreClient } from './store-clients.ts';

/** What clients printed, by their names. */
export interface Trusted {
  /** Before anything was done: a client that trusts the CA then shows nothing. */
  readonly before: Readonly<Record<string, string>>;
  /** After the lines that are printed for its ecosystem, and no others. */
  readonly told: Readonly<Record<string, string>>;
  /** Of all of them, and of the lines. */
  readonly errors: string;
}

/**
 * Runs clients of an API that takes the right token only, and of STS, behind a gateway that opens the TLS of both: each as it is,
 * and each in a shell that has run what the command prints for it.
 */
export async function askTrusting(
  t: Pick<TestContext, 'after'>,
  clients: readonly StoreClient[],
): Promise<Trusted> {
  const { file, env } = await startTrusting(t);
  const command = [join(ROOT, 'bin/sekisho.js'), 'ca', 'install-help', '-c', file];
  const { stdout: help } = await run(process.execPath, command);
  const [, first = '', ...parts] = help.split(/^# /m).map((part) => part.replace(/^.*\n/, ''));
  const linesOf = ({ ecosystem }: StoreClient) =>
    parts[ECOSYSTEMS.findIndex(({ name }) => name === ecosystem)] ?? '';
  const script = [
    ...clients.map((client) => section('before', client, '')),
    quiet(first),
    ...clients.map((client) => section('told', client, quiet(linesOf(client)))),
  ];
  const { stdout, stderr: errors } = await inShell(script.join('\n'), env);
  const printed = (when: string) =>
    Object.fromEntries(
      clients.map(({ name }) => {
        const [, text] = stdout.split(`\n${marker(when, name)}\n`);
        if (text === undefined) throw new Error(`${name} was not run: ${errors}`);
        return [name, text.split(`\n${MARK}`)[0] ?? ''];
      }),
    );
  return { before: printed('before'), told: printed('told'), errors };
}

const MARK = '=====';
const marker = (when: string, name: string) => `${MARK} ${when} ${name}`;

/** In a shell of its own, so that no other ecosystem's variables are there. */
function section(when: string, { name, script }: StoreClient, lines: string): string {
  return `printf '\\n%s\\n' "${marker(when, name)}"; (\nset -e\n${lines}\n${script}\n) || true`;
}

async function startTrusting(t: Pick<TestContext, 'after'>) {
  const certificates = createCertificates('api.localhost', 'sts.localhost');
  const upstream = await startSecureUpstream(certificates, (request, socket) => {
    const right = new RegExp(`^authorization: token ${TOKEN}\r$`, 'im').test(request);
    const body = right ? page(request.split(' ')[1] ?? '') : 'who are you';
    const head = `HTTP/1.1 ${right ? 200 : 401} X\r\nContent-Length: ${body.length}\r\n`;
    socket.write(`${head}Content-Type: text/plain\r\n\r\n${body}`);
  });
  t.after(upstream.close);
  const aws = await startFakeAws([new Sts().service], { certificates });
  t.after(aws.close);
  const gateway = await startTestGateway(config(upstream.port, aws.port), {
    env: { ...aws.env(ADMIN), TOKEN },
    files: { 'ca.pem': certificates.ca.toString() },
  });
  t.after(() => gateway.stop());
  const env = {
    https_proxy: gateway.proxyUrl,
    HTTPS_PROXY: gateway.proxyUrl,
    PROXY_PORT: String(gateway.port),
    AUTHORITY: `api.localhost:${upstream.port}`,
    URL: `https://api.localhost:${upstream.port}/repos/acme`,
    STS_URL: `https://sts.localhost:${aws.port}`,
  };
  return { file: gateway.file, env };
}

const config = (apiPort: number, stsPort: number) => `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: api, allow: [fn], to: [api.localhost], ports: [${apiPort}], addresses: [127.0.0.1], paths: [/repos/**], with: github, intercept: true }
  - { name: sts, allow: [fn], to: [sts.localhost], ports: [${stsPort}], addresses: [127.0.0.1], with: sts, intercept: true }
credentials:
  github: { for: api.localhost, header: { Authorization: ["token ", { env: TOKEN }] }, tls: { ca: { file: ca.pem } } }
  sts: { for: sts.localhost, sigv4: { service: sts, region: ap-northeast-1 }, tls: { ca: { file: ca.pem } } }
`;

/** Of git's plain protocol, as far as `ls-remote` goes; everything else is `ok`. */
function page(path: string): string {
  if (path.startsWith('/repos/acme.git/info/refs')) return `${'a'.repeat(40)}\trefs/heads/main\n`;
  return path === '/repos/acme.git/HEAD' ? 'ref: refs/heads/main\n' : 'ok';
}

/** What the lines themselves print is not what the client prints. */
function quiet(lines: string): string {
  return `{\n${lines}\n} >&2`;
}

/**
 * In a folder of its own, and with a copy of the system's store in the place of that: nothing outside of this shell changes.
 */
async function inShell(script: string, env: Record<string, string>): Promise<Finished> {
  const folder = await mkdtemp(join(tmpdir(), 'sekisho-store-'));
  try {
    const bin = join(folder, 'bin');
    await mkdir(bin);
    await symlink(join(ROOT, 'bin/sekisho.js'), join(bin, 'sekisho'));
    await writeFile(join(folder, 'script'), script);
    const path = [bin, dirname(process.execPath), '/usr/bin', '/usr/sbin', '/bin', '/sbin'];
    const clean = [
      `PATH=${path.join(delimiter)}`,
      `HOME=${folder}`,
      `JAVA_HOME=${javaHome()}`,
      'AWS_ACCESS_KEY_ID=AKIADUMMY',
      'AWS_SECRET_ACCESS_KEY=dummy',
      'AWS_DEFAULT_REGION=ap-northeast-1',
      'AWS_EC2_METADATA_DISABLED=true',
      'AWS_MAX_ATTEMPTS=1',
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ];
    const shell = ['env', '-i', ...clean, 'bash', '-e', 'script'];
    return await run('unshare', ['--mount', 'bash', '-ec', OWN_STORE, 'bash', folder, ...shell], {
      cwd: folder,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Where `update-ca-certificates` reads and writes. */
const OWN_STORE = `
mount --make-rprivate /
folder=$1; shift
for store in /etc/ssl /usr/local/share/ca-certificates; do
  mkdir -p "$folder/store$store"
  cp -a "$store/." "$folder/store$store"
  mount --bind "$folder/store$store" "$store"
done
exec "$@"
`;

/** Of the JDK that is on the path; empty without one. */
function javaHome(): string {
  try {
    return dirname(dirname(realpathSync('/usr/bin/java')));
  } catch {
    return '';
  }
}

/** All that is in the system's own store: the same before and after. */
export function systemStore(): string {
  return readFileSync('/etc/ssl/certs/ca-certificates.crt', 'utf8');
}

/** As `needs`: false where a program can be given mounts of its own. */
export function mayMount(): false | string {
  const { status } = spawnSync('unshare', ['--mount', 'mount', '--make-rprivate', '/']);
  if (status === 0) return false;
  const reason = 'needs Linux and the right to mount';
  if (STRICT) throw new Error(`a test ${reason}; with CI=true none may be skipped`);
  return reason;
}
