/** The programs that a run starts, each in a group of its own, and all gone when the run ends, however it does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { accepts } from '../test/support/servers.ts';

const ASK_AGAIN_MS = 20;
const START_LIMIT_MS = 20_000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) killGroup(child);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

export interface Program {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Where what it writes goes. */
  readonly output: string;
  /** It is there once all of these accept connections. */
  readonly ports: readonly number[];
}

/** @throws Error when it ends or does not listen in time */
export async function startProgram(
  command: string,
  args: readonly string[],
  { env, output, ports }: ProgramOptions,
): Promise<Program> {
  const file = openSync(output, 'a');
  const child = spawn(command, args, {
    stdio: ['ignore', file, file],
    env: { ...process.env, ...env },
    detached: true,
  });
  running.add(child);
  const gone = once(child, 'exit');
  await once(child, 'spawn');
  for (const port of ports) await listening(child, command, port, output);
  return {
    pid: child.pid as number,
    async stop() {
      killGroup(child);
      await gone;
      running.delete(child);
    },
  };
}

async function listening(child: ChildProcess, command: string, port: number, output: string) {
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() > limit)
      throw new Error(`${command} does not listen on ${port}:\n${readFileSync(output, 'utf8')}`);
    await wait(ASK_AGAIN_MS);
  }
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

function killGroup(child: ChildProcess): void {
  try {
    process.kill(-(child.pid as number), 'SIGKILL');
  } catch (error) {
    // All of it is gone.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
