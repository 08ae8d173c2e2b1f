/** What the benchmark runs, made anew in a folder that git ignores: the gateway as it is published, and the load generator. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const BUILD = join(import.meta.dirname, '.build');

export const LOAD = join(BUILD, 'load');
export const UPSTREAM = join(BUILD, 'upstream');

/** A checkout's own would run the sources that stand beside it. */
export const GATEWAY = join(BUILD, 'bin', 'sekisho.js');

/** @throws Error what the compiler says */
export function build(): void {
  mkdirSync(join(BUILD, 'bin'), { recursive: true });
  compileC('load.c', LOAD);
  compileC('upstream.c', UPSTREAM);
  const compiler = join(ROOT, 'node_modules', '.bin', 'tsc');
  const outDir = join(BUILD, 'dist');
  execFileSync(compiler, ['-p', 'tsconfig.build.json', '--outDir', outDir], { cwd: ROOT });
  for (const file of ['package.json', join('bin', 'sekisho.js')]) {
    copyFileSync(join(ROOT, file), join(BUILD, file));
  }
  // What is compiled at install stands beside `dist`.
  if (existsSync(join(ROOT, 'native')) && !existsSync(join(BUILD, 'native'))) {
    symlinkSync(join(ROOT, 'native'), join(BUILD, 'native'));
  }
}

function compileC(name: string, program: string): void {
  const source = join(import.meta.dirname, name);
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return;
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-std=c11', '-o', program, source]);
}
