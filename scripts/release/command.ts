import { spawnSync } from 'node:child_process';

/** Large enough for what `npm sbom` and `tar` print here. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Without what an npm that runs this script tells its children: it would decide for the npm that they start. */
const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')),
);

/**
 * Runs a program to its end.
 *
 * @param path folders that come first on its PATH
 * @returns what it printed
 * @throws Error with what it said, where it fails
 */
export function run(cwd: string, command: readonly string[], path: readonly string[] = []): string {
  return runForBytes(cwd, command, path).toString();
}

/** As `run`, for what is no text. */
export function runForBytes(
  cwd: string,
  [program = '', ...args]: readonly string[],
  path: readonly string[] = [],
): Buffer {
  const env = { ...clean, PATH: [...path, process.env.PATH].join(':') };
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env,
    maxBuffer: MOST_BYTES,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  return stdout;
}
