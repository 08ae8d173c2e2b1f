import { Worker } from 'node:worker_threads';
import type { Config } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { type PortableConfig, packing, unpacking } from './config/portable.ts';
import { SekishoError } from './core/errors.ts';
import type { Examined } from './examine.ts';
import { inSlices } from './slices.ts';

/** What the thread is given. */
export interface Errand {
  readonly file: string;
  readonly before: PortableConfig;
}

/** What it brings back. */
export type Found =
  | {
      readonly loaded: Omit<Loaded, 'config'>;
      readonly config: PortableConfig;
      readonly differences: Examined['differences'];
    }
  | { readonly code: string; readonly message: string };

/** A file that never ends, or a disk that hangs. */
const LIMIT_MS = 120_000;

/**
 * Reads and examines a configuration in a thread of its own. The files of ten thousand rules take seconds to read: health
 * checks and workers must not wait for them.
 *
 * @throws SekishoError as `load` and `examine`, and `reload-too-slow`
 */
export async function examineAside(file: string, before: Config): Promise<Examined> {
  const errand: Errand = { file, before: await inSlices(packing(before)) };
  const thread = new Worker(entry(), { workerData: errand });
  const limit = setTimeout(() => void thread.terminate(), LIMIT_MS);
  try {
    return await unpack(await answerOf(thread));
  } finally {
    clearTimeout(limit);
  }
}

function answerOf(thread: Worker): Promise<Found> {
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', () =>
      reject(
        new SekishoError(
          'reload-too-slow',
          `the configuration was not read within ${LIMIT_MS / 1000} s; is a file of it on a disk that hangs?`,
        ),
      ),
    );
  });
}

async function unpack(found: Found): Promise<Examined> {
  if ('code' in found) throw new SekishoError(found.code, found.message);
  const { loaded, config, differences } = found;
  return {
    loaded: { ...loaded, config: await inSlices(unpacking(config)) },
    differences,
    portable: config,
  };
}

/** Beside this file: as a source in a checkout, compiled in the package. */
function entry(): URL {
  const name = import.meta.filename.endsWith('.ts') ? 'examine-thread.ts' : 'examine-thread.js';
  return new URL(name, import.meta.url);
}
