import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { finished } from './clients.ts';
import { steadyPort } from './steady-port.ts';

/** A gateway's place: its ports, its configuration and its data, whatever version runs there. */
export class GatewaySlot {
  readonly name: string;
  readonly port: number;
  readonly healthPort: number;
  readonly #folder: string;
  #running: ChildProcess | undefined;

  private constructor(folder: string, name: string, ports: readonly [number, number]) {
    this.#folder = folder;
    this.name = name;
    [this.port, this.healthPort] = ports;
  }

  /** @param upstreamPort where everybody on this machine may go, as `api.localhost` */
  static async prepare(dir: string, name: string, upstreamPort: number): Promise<GatewaySlot> {
    const folder = join(dir, name);
    const slot = new GatewaySlot(folder, name, [await steadyPort(), await steadyPort()]);
    await mkdir(folder);
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(join(folder, 'audit.key'), key, { mode: 0o600 });
    await writeFile(join(folder, 'audit.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(
      join(folder, 'sekisho.yaml'),
      `version: 1
gateway: { name: ${name}, health: "127.0.0.1:${slot.healthPort}", drain: { notice: 1s, limit: 20s } }
admin: { bind: "127.0.0.1:0" }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:${slot.port}" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstreamPort}], addresses: [127.0.0.1], tls: off }]
audit: { checkpoint: { every: 1m, key: { file: audit.key } } }
`,
    );
    return slot;
  }

  /** Runs a version until `stop`. Resolves once it is ready. @param version a folder with the package */
  async start(version: string): Promise<void> {
    const child = this.#spawn(version, ['run'], 'ignore');
    this.#running = child;
    let said = '';
    child.stderr?.on('data', (text) => {
      said = `${said}${text}`.slice(-10_000);
    });
    while (!(await isReady(this.healthPort))) {
      if (child.exitCode !== null) throw new Error(`gateway ${this.name} ended: ${said}`);
      await wait(20);
    }
  }

  /** SIGTERM, and waits for the end. @throws Error where it is not an orderly one */
  async stop(): Promise<void> {
    const child = this.#running;
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = await exited;
    this.#running = undefined;
    if (code !== 0) throw new Error(`gateway ${this.name} ended with ${code}`);
  }

  kill(): void {
    this.#running?.kill('SIGKILL');
  }

  /** What `sekisho audit verify` of a version says of the record, and its exit code. */
  async verify(version: string): Promise<{ code: number | null; text: string }> {
    const args = ['audit', 'verify', '--key', join(this.#folder, 'audit.pub')];
    const { code, stdout } = await finished(this.#spawn(version, args, 'pipe'));
    return { code, text: stdout };
  }

  /** How many exchanges a version finds in the record with an outcome. */
  async outcomes(version: string): Promise<number> {
    const args = ['audit', 'search', '--type', 'outcome', '--json'];
    const { stdout } = await finished(this.#spawn(version, args, 'pipe'));
    return stdout.split('\n').length - 1;
  }

  #spawn(version: string, args: readonly string[], stdout: 'ignore' | 'pipe'): ChildProcess {
    const command = [join(version, 'bin/sekisho.js'), ...args, '-c', 'sekisho.yaml'];
    return spawn(process.execPath, command, {
      cwd: this.#folder,
      stdio: ['ignore', stdout, 'pipe'],
    });
  }
}

async function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}
