import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { runHere } from './npm.ts';
import { ROOT } from './sources.ts';

const LEFT = new Set(['node_modules', '.git', 'dist', 'var', 'coverage', 'release']);

/** Copies this checkout as it stands, without what was made from it, into a new folder. */
export function copyCheckout(folder: string): void {
  mkdirSync(folder);
  for (const name of readdirSync(ROOT).filter((entry) => !LEFT.has(entry)))
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
}

/**
 * Packs a copy: a build removes `dist`, which somebody may be running in the checkout.
 *
 * @param work a folder for the copy and the tarball
 * @returns the path of the tarball
 */
export function packCheckout(work: string): string {
  const copy = join(work, 'checkout');
  copyCheckout(copy);
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return join(work, runHere(copy, 'npm', 'pack', '--silent', '--pack-destination', work).trim());
}
