import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

/** As in a shell of its own: without what the npm that runs these tests tells its children. */
export const PLAIN_ENV: Readonly<NodeJS.ProcessEnv> = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')),
);

/** Runs a program to its end. @returns what it printed */
export function runHere(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: PLAIN_ENV,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}
