import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { authorization, readToken } from '../../src/admin/token.ts';
import type { SetStatus } from '../../src/published/follower.ts';
import type { WorkerState } from '../../src/workers.ts';
import { ROOT } from './sources.ts';

export interface StatusReport {
  readonly lists: readonly SetStatus[];
  readonly state: string;
  readonly policy: string;
  readonly nativeTunnel: 'built' | 'prebuilt' | null;
  readonly workers: readonly WorkerState[];
}

/** `sekisho run` as a person starts it: a primary with its workers, on ports of its own. */
export interface GatewayProcess {
  /** Of the first listener. */
  readonly port: number;
  readonly dir: string;
  readonly file: string;
  readonly child: ChildProcess;
  /** Code and signal, once it is gone. */
  readonly exited: Promise<readonly [number | null, NodeJS.Signals | null]>;
  /** The lines of its log so far. */
  readonly log: readonly string[];
  /** A line of the log that fits: one that is there, or the next one. */
  logged(fits: RegExp, from?: number): Promise<string>;
  status(): Promise<StatusReport>;
  /** Asks for the status until it fits. */
  until(fits: (status: StatusReport) => boolean): Promise<StatusReport>;
  metrics(): Promise<string>;
  /** Any page of the admin API, whatever its status. */
  page(path: string): Promise<string>;
}

const ASK_AGAIN_MS = 20;

/**
 * Starts a gateway that ends with the test.
 *
 * @param yaml all but `version` and, unless it is there, `admin`
 * @param options `root`: an installation other than this checkout; `dir`: where one ran before, with all that it left
 */
export async function startGatewayProcess(
  t: TestContext,
  yaml: string,
  options: {
    env?: NodeJS.ProcessEnv;
    files?: Record<string, string>;
    root?: string;
    dir?: string;
  } = {},
): Promise<GatewayProcess> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'sekisho-process-')));
  const file = join(dir, 'sekisho.yaml');
  const adminLine = /^admin:/m.test(yaml) ? '' : `admin: { bind: "127.0.0.1:0" }\n`;
  await writeFile(file, `version: 1\n${adminLine}${yaml}`);
  for (const [name, text] of Object.entries(options.files ?? {}))
    await writeFile(join(dir, name), text);
  // A group of its own, so that all of it can be killed, and is.
  const program = join(options.root ?? ROOT, 'bin/sekisho.js');
  const child = spawn(process.execPath, [program, 'run', '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...options.env },
    detached: true,
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  t.after(async () => {
    killGroup(child);
    await exited;
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  });
  const { log, logged } = readLog(child, exited);
  const ready = await logged(/"msg":"ready"/);
  const listening = await logged(/"msg":"listening"/);
  const [port, admin] = [portIn(listening), portIn(ready)];
  const page = async (path: string) => {
    const token = await readToken(join(dir, 'var'));
    const headers = { authorization: authorization(token) };
    return (await fetch(`http://127.0.0.1:${admin}${path}`, { headers })).text();
  };
  const status = async () => JSON.parse(await page('/v1/status')) as StatusReport;
  return {
    port,
    dir,
    file,
    child,
    exited,
    log,
    logged,
    status,
    async until(fits) {
      for (;;) {
        const now = await status();
        if (fits(now)) return now;
        await wait(ASK_AGAIN_MS);
      }
    },
    metrics: () => page('/metrics'),
    page,
  };
}

/** Kills the primary and its workers at once. */
export function killGroup(child: ChildProcess): void {
  try {
    process.kill(-(child.pid as number), 'SIGKILL');
  } catch (error) {
    // All of it is gone.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function portIn(line: string): number {
  return Number(/127\.0\.0\.1:(\d+)"/.exec(line)?.[1]);
}

function readLog(child: ChildProcess, exited: GatewayProcess['exited']) {
  const log: string[] = [];
  const waiting = new Set<() => void>();
  if (child.stderr === null) throw new TypeError('the log is not piped');
  createInterface(child.stderr).on('line', (line) => {
    log.push(line);
    for (const look of waiting) look();
  });
  const logged = (fits: RegExp, from = 0) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const line = log.slice(from).find((text) => fits.test(text));
        if (line === undefined) return;
        waiting.delete(look);
        resolve(line);
      };
      waiting.add(look);
      look();
      void exited.then(([code, signal]) =>
        reject(new Error(`the gateway ended (${code ?? signal}):\n${log.join('\n')}`)),
      );
    });
  return { log, logged };
}
