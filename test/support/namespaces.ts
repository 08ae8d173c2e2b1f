import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finished, run } from './clients.ts';
import { needs, STRICT } from './programs.ts';

/** As `needs`: false where network namespaces can be made. */
export function needsNamespaces(): false | string {
  const missing = needs('iproute2');
  if (missing !== false) return missing;
  if (process.platform === 'linux' && process.getuid?.() === 0 && mayMake()) return false;
  const reason = 'needs Linux and the right to make network namespaces';
  if (STRICT) throw new Error(`a test ${reason}; with CI=true none may be skipped`);
  return reason;
}

/** Root in a container has often lost it. */
function mayMake(): boolean {
  try {
    new Namespace('probe').remove();
    return true;
  } catch {
    return false;
  }
}

let made = 0;

/** A network of its own, for programs that shall have other addresses than the machine. */
export class Namespace {
  readonly name: string;
  readonly #children = new Set<ChildProcess>();

  constructor(purpose: string) {
    this.name = `sekisho-${purpose}-${process.pid}-${++made}`;
    ip('netns', 'add', this.name);
    this.ip('link', 'set', 'lo', 'up');
  }

  /** A cable to another namespace, whose ends get these addresses: `10.77.0.1/24`. */
  connect(other: Namespace, ours: readonly string[], theirs: readonly string[]): void {
    ip(
      'link',
      'add',
      'cable',
      'netns',
      this.name,
      'type',
      'veth',
      'peer',
      'name',
      'cable',
      'netns',
      other.name,
    );
    for (const [end, addresses] of [
      [this, ours],
      [other, theirs],
    ] as const) {
      for (const address of addresses) end.ip('address', 'add', address, 'dev', 'cable', 'nodad');
      end.ip('link', 'set', 'cable', 'up');
    }
  }

  removeAddress(address: string): void {
    this.ip('address', 'del', address, 'dev', 'cable');
  }

  /** What its programs find as /etc/hosts: `ip netns exec` puts it in the place of the machine's own. */
  setHosts(text: string): void {
    mkdirSync(this.#etc, { recursive: true });
    writeFileSync(join(this.#etc, 'hosts'), text);
  }

  ip(...args: readonly string[]): void {
    ip('-n', this.name, ...args);
  }

  run(command: string, ...args: readonly string[]): Promise<Finished> {
    return this.runWith({}, command, ...args);
  }

  runWith(env: NodeJS.ProcessEnv, command: string, ...args: readonly string[]): Promise<Finished> {
    return run('ip', ['netns', 'exec', this.name, command, ...args], { env });
  }

  /** Runs until `remove`. */
  spawn(command: string, ...args: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.name, command, ...args]);
    this.#children.add(child);
    return child;
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      // `ip netns exec` becomes the program.
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    this.remove();
  }

  remove(): void {
    ip('netns', 'del', this.name);
    rmSync(this.#etc, { recursive: true, force: true });
  }

  get #etc(): string {
    return join('/etc/netns', this.name);
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}
