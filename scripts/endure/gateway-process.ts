import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../test/support/sources.ts';
import { steadyPort } from '../../test/support/steady-port.ts';
import { poll } from './poll.ts';

/** A process that accepts clients. */
export interface Worker {
  readonly number: number;
  /** null: there is none at the moment. */
  readonly pid: number | null;
  readonly state: 'starting' | 'accepting' | 'draining' | 'backing-off';
  /** ISO 8601, UTC. */
  readonly startedAt: string;
}

export interface Status {
  readonly state: string;
  /** The digest of the policy in force. */
  readonly policy: string;
  readonly workers: readonly Worker[];
}

/** All of the configuration but where this gateway listens and writes. */
export type PolicyText = (variant: number) => string;

export interface GatewayOptions {
  readonly name: string;
  /** Of its own; made here. */
  readonly dir: string;
  readonly workers: number;
  readonly policy: PolicyText;
  readonly audit: string;
  readonly drain: { readonly noticeMs: number; readonly limitMs: number };
  readonly resolver: string;
}

/** A gateway as it is installed: a program with its own folder, ports and group of processes. */
export class GatewayProcess {
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly healthPort: number;
  readonly #adminPort: number;
  readonly #options: GatewayOptions;
  #variant = 0;
  #child: ChildProcess | undefined;

  private constructor(options: GatewayOptions, ports: readonly number[]) {
    this.name = options.name;
    this.dir = options.dir;
    [this.port = 0, this.healthPort = 0, this.#adminPort = 0] = ports;
    this.#options = options;
  }

  /** Not started yet. */
  static async prepare(options: GatewayOptions): Promise<GatewayProcess> {
    const ports = [await steadyPort(), await steadyPort(), await steadyPort()];
    const gateway = new GatewayProcess(options, ports);
    await mkdir(options.dir, { recursive: true });
    await gateway.#writeConfig();
    return gateway;
  }

  get configFile(): string {
    return join(this.dir, 'sekisho.yaml');
  }

  get auditDir(): string {
    return join(this.dir, 'var', 'audit');
  }

  get pid(): number {
    return this.#child?.pid as number;
  }

  /** Resolves once it takes clients. @throws Error when it ends before */
  async start(): Promise<void> {
    const log = openSync(join(this.dir, 'log'), 'a');
    const args = [join(ROOT, 'bin', 'sekisho.js'), 'run', '-c', this.configFile];
    // Restarts are what this is about, not how long Node takes to read the sources anew.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'sekisho-compile-cache') };
    const stdio: StdioOptions = ['ignore', log, log];
    const child = spawn(process.execPath, args, { detached: true, env, stdio });
    closeSync(log);
    this.#child = child;
    await poll(`${this.name} to be ready`, async () => {
      if (hasEnded(child)) throw new Error(`${this.name} ended: see ${join(this.dir, 'log')}`);
      return this.isReady();
    });
  }

  async isReady(): Promise<boolean> {
    const response = await fetch(`http://127.0.0.1:${this.healthPort}/readyz`).catch(
      () => undefined,
    );
    await response?.text();
    return response?.status === 200;
  }

  async status(): Promise<Status> {
    const response = await this.#askAdmin('/v1/status');
    return (await response.json()) as Status;
  }

  async metrics(): Promise<string> {
    return (await this.#askAdmin('/metrics')).text();
  }

  /** Another policy, which the gateway notices by itself or is told of. Resolves once it is in force. */
  async reload(how: 'watch' | 'signal'): Promise<void> {
    const { policy: before } = await this.status();
    this.#variant++;
    await this.#writeConfig();
    if (how === 'signal') process.kill(this.pid, 'SIGHUP');
    await poll(`${this.name} to reload`, async () => (await this.status()).policy !== before);
  }

  /** SIGTERM. @throws Error when it does not end in order */
  async drain(): Promise<void> {
    await this.end('SIGTERM');
    const { exitCode, signalCode } = this.#child as ChildProcess;
    if (exitCode !== 0)
      throw new Error(`${this.name} drained, and ended with ${exitCode ?? signalCode}`);
  }

  /** Every process of it at once, as the kernel would when memory is short or the power fails. */
  async killGroup(): Promise<void> {
    const ended = once(this.#child as ChildProcess, 'exit');
    process.kill(-this.pid, 'SIGKILL');
    await ended;
  }

  /** Ends it, if it runs. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** This process and all below it. */
  async processes(): Promise<readonly number[]> {
    const pids = [this.pid];
    for (const pid of pids) {
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
      pids.push(...children.split(' ').filter(Boolean).map(Number));
    }
    return pids;
  }

  async #askAdmin(path: string): Promise<Response> {
    const token = (await readFile(join(this.dir, 'var', 'admin.token'), 'utf8')).trim();
    const headers = { authorization: `Bearer ${token}` };
    return fetch(`http://127.0.0.1:${this.#adminPort}${path}`, { headers });
  }

  /** Renamed into place, so that nobody reads a half of it. */
  async #writeConfig(): Promise<void> {
    const { name, workers, drain, resolver, audit, policy } = this.#options;
    const text = `version: 1
gateway:
  name: ${name}
  workers: ${workers}
  health: 127.0.0.1:${this.healthPort}
  drain: { notice: ${drain.noticeMs}ms, limit: ${drain.limitMs}ms }
  resolvers: ["${resolver}"]
admin: { bind: "127.0.0.1:${this.#adminPort}" }
listeners:
  egress: { type: forward-proxy, bind: "127.0.0.1:${this.port}", proxyProtocol: { from: [127.0.0.1] } }
${policy(this.#variant)}
${audit}
`;
    await writeFile(`${this.configFile}.new`, text);
    await rename(`${this.configFile}.new`, this.configFile);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
