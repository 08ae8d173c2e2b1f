import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';

const MANIFEST = 'package.json';
/** The lock file that npm publishes. */
const LOCK = 'npm-shrinkwrap.json';

/** The commit that is released. What is not committed is not in it. */
export interface Source {
  readonly repository: string;
  /** Its full hash. */
  readonly commit: string;
  /** When it was committed. */
  readonly time: Date;
}

export function readSource(repository: string, revision: string): Source {
  const git = (...args: string[]) => run(repository, ['git', ...args]).trim();
  const commit = git('rev-parse', '--verify', `${revision}^{commit}`);
  return { repository, commit, time: new Date(git('show', '-s', '--format=%cI', commit)) };
}

/** Puts the files of the commit into a new folder. */
export function extract({ repository, commit }: Source, folder: string): void {
  mkdirSync(folder);
  const archive = `${folder}.tar`;
  run(repository, ['git', 'archive', '--output', archive, commit]);
  run(folder, ['tar', '-xf', archive]);
}

/** Installs what the lock file of an extracted commit says, all of it and nothing else; runs no script of a package. */
export function installLocked(folder: string): string {
  run(folder, ['npm', 'ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']);
  return join(folder, 'node_modules');
}

/**
 * What the package needs at run time, as its own manifest and lock: with them `npm ci` in the unpacked tarball installs
 * what was tested and what the SBOM lists. npm itself prunes the lock. In the tree of a checkout its SBOM would leave out
 * whatever a development dependency needs as well.
 *
 * @returns the folder that holds both, where `npm sbom` sees the package as it is installed
 */
export function lockRuntime(extracted: string, folder: string): string {
  mkdirSync(folder);
  const { devDependencies, workspaces, scripts, ...rest } = JSON.parse(
    readFileSync(join(extracted, 'package.json'), 'utf8'),
  ) as Record<string, unknown> & { readonly scripts: { readonly install: string } };
  // The native part is built where it is installed, if that can be.
  const manifest = { ...rest, scripts: { install: scripts.install } };
  writeFileSync(join(folder, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
  copyFileSync(join(extracted, 'package-lock.json'), join(folder, LOCK));
  run(folder, ['npm', 'install', '--package-lock-only', '--ignore-scripts', '--offline']);
  return folder;
}

/** Builds an extracted commit and packs what runs, with the manifest and the lock that `lockRuntime` made. */
export function pack(
  extracted: string,
  modules: string,
  runtime: string,
): { name: string; bytes: Buffer } {
  const linked = join(extracted, 'node_modules');
  if (linked !== modules) symlinkSync(modules, linked);
  run(extracted, ['npm', 'run', 'build'], [join(modules, '.bin')]);
  for (const name of [MANIFEST, LOCK]) copyFileSync(join(runtime, name), join(extracted, name));
  const name = run(extracted, ['npm', 'pack', '--silent', '--ignore-scripts']).trim();
  return { name, bytes: readFileSync(join(extracted, name)) };
}
