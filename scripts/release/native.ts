import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './command.ts';

/** Where the package has the native tunnel for machines without a compiler: `src/tcp/load-addon.ts` looks for it there. */
export const PREBUILT = 'native/prebuilt/linux-x64-glibc.node';

/** What node-gyp compiles with. */
export const COMPILER = 'cc';

/**
 * Compiles the native tunnel of an extracted commit as an installation does, to be packed.
 *
 * @throws Error on a machine that it cannot be compiled on
 */
export function prebuild(extracted: string, modules: string): Buffer {
  run(extracted, ['npm', 'run', 'install'], [join(modules, '.bin')]);
  const [built, packed] = [join(extracted, 'native', 'tunnel.node'), join(extracted, PREBUILT)];
  if (`${process.platform}-${process.arch}` !== 'linux-x64' || !existsSync(built))
    throw new Error(
      `a release holds ${PREBUILT}, which cannot be compiled here; npm run install says why`,
    );
  mkdirSync(dirname(packed), { recursive: true });
  renameSync(built, packed);
  return readFileSync(packed);
}
