import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SekishoError } from '../../core/errors.ts';
import { FUNCTIONS } from '../functions.ts';

/** `src`, or `dist`. */
const HERE = new URL('../../', import.meta.url);

/**
 * The code of a function, with all that it imports but what the runtime has: as it is in the package, or made on the spot
 * where this runs from the sources.
 *
 * @throws SekishoError
 */
export async function functionCode(name: string): Promise<Buffer> {
  const ready = fileURLToPath(new URL(`functions/${name}.js`, HERE));
  return existsSync(ready) ? readFileSync(ready) : bundleFunction(name);
}

// In a module of the old kind the place of the file is told another way.
const BANNER = "const fileUrl = require('node:url').pathToFileURL(__filename).href;";

/** One file, as a module of the old kind: in those alone is the runtime's SDK found. @throws SekishoError */
export async function bundleFunction(name: string): Promise<Buffer> {
  const known = FUNCTIONS[name];
  if (known === undefined) throw unknownFunction(name);
  const { build } = await import('esbuild').catch((error: Error) => {
    throw new SekishoError('bundler-missing', 'esbuild is not installed; run npm ci', {
      cause: error,
    });
  });
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(HERE),
    entryPoints: [`${known.entry}.ts`],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    legalComments: 'inline',
    external: ['@aws-sdk/*', '@smithy/*'],
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'fileUrl' },
    banner: { js: BANNER },
    logLevel: 'silent',
  });
  return Buffer.from(outputFiles[0]?.contents ?? []);
}

export function unknownFunction(name: string): SekishoError {
  const names = Object.keys(FUNCTIONS).join(', ');
  return new SekishoError(
    'function-unknown',
    `there is no function ${JSON.stringify(name)}; write one of: ${names}`,
  );
}
