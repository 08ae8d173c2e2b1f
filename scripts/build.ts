/**
 * Builds `dist`, which the published package runs: Node strips no types below `node_modules`.
 *
 * Without source maps: the sources are not in the package, and `dist` is them without the types.
 */
import { type StdioOptions, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleFunction } from '../src/lambda/bundle/code.ts';
import { FUNCTIONS } from '../src/lambda/functions.ts';

const root = join(import.meta.dirname, '..');
const compiler = join(root, 'node_modules', '.bin', 'tsc');
const help = "import('./dist/cli/main.js').then((cli) => cli.main(['--help']))";

// First of all: a file whose source is gone must not be published once more.
rmSync(join(root, 'dist'), { recursive: true, force: true });
// tsc tells its diagnostics on stdout, which belongs to the caller (`npm pack --json`).
run(compiler, ['-p', 'tsconfig.build.json'], ['ignore', 2, 2]);
await bundleFunctions();
run(process.execPath, ['-e', help], ['ignore', 'ignore', 2]);
process.stderr.write('built dist, and it starts\n');

/** What `sekisho lambda bundle` zips. */
async function bundleFunctions(): Promise<void> {
  const folder = join(root, 'dist', 'functions');
  mkdirSync(folder);
  for (const name of Object.keys(FUNCTIONS)) {
    writeFileSync(join(folder, `${name}.js`), await bundleFunction(name));
  }
}

function run(program: string, args: readonly string[], stdio: StdioOptions): void {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
