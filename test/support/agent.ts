import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ROOT } from './sources.ts';

/** `sekisho agent` as a person starts it. */
export interface Agent {
  readonly port: number;
  readonly pid: number;
  log(): string;
  /** SIGTERM. @returns the exit code, once it is gone */
  stop(): Promise<number | null>;
}

/** It ends with the test. */
export async function startAgent(
  t: Pick<TestContext, 'after'>,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = ['--function', 'sign', '--bind', '127.0.0.1:0'],
): Promise<Agent> {
  const child = spawn(process.execPath, [join(ROOT, 'bin/sekisho.js'), 'agent', ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const stop = async () => {
    child.kill('SIGTERM');
    return (await exited)[0];
  };
  t.after(stop);
  let log = '';
  for await (const [chunk] of on(child.stderr, 'data', { close: ['end'] })) {
    log += chunk;
    const port = Number(/"listening":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(log)?.[1]);
    if (!(port > 0)) continue;
    child.stderr.on('data', (more) => {
      log += more;
    });
    return { port, pid: child.pid as number, log: () => log, stop };
  }
  throw new Error(`the agent ended: ${log}`);
}
