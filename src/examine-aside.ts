import { beside, runAside } from './aside.ts';
import type { Config } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { type PortableConfig, packing, unpacking } from './config/portable.ts';
import { SekishoError } from './core/errors.ts';
import type { Examined } from './examine.ts';
import { inSlices } from './slices.ts';

/** What the thread is given. */
export type Errand =
  /** To read a configuration, and examine it against the one before. */
  | { readonly file: string; readonly before: PortableConfig }
  /** To hold one whose sets hold something else against what is expected of it. */
  | { readonly listed: PortableConfig };

/** What it brings back. */
export type Found =
  | {
      readonly loaded: Omit<Loaded, 'config'>;
      readonly config: PortableConfig;
      readonly differences: Examined['differences'];
    }
  | { readonly holds: true }
  | { readonly code: string; readonly message: string };

/** A file that never ends, or a disk that hangs. Lists that are fetched for the first time have their own limit within it. */
const LIMIT_MS = 120_000;

/**
 * Reads and examines a configuration in a thread of its own. The files of ten thousand rules take seconds to read: health
 * checks and workers must not wait for them.
 *
 * @throws SekishoError as `load` and `examine`, and `reload-too-slow`
 */
export async function examineAside(file: string, before: Config): Promise<Examined> {
  const found = await askThread({ file, before: await inSlices(packing(before)) });
  if (!('loaded' in found)) throw new TypeError('the thread did another errand');
  const { loaded, config, differences } = found;
  return {
    loaded: { ...loaded, config: await inSlices(unpacking(config)) },
    differences,
    portable: config,
  };
}

/**
 * Holds a configuration against its `expect` tests in a thread of its own.
 *
 * @returns the same configuration, packed
 * @throws SekishoError as `examineRules`
 */
export async function examineListed(config: Config): Promise<PortableConfig> {
  const listed = await inSlices(packing(config));
  await askThread({ listed });
  return listed;
}

async function askThread(errand: Errand): Promise<Exclude<Found, { code: string }>> {
  const found = await runAside<Found>(beside(import.meta.url, 'examine-thread'), errand, {
    limitMs: LIMIT_MS,
    unanswered: () =>
      new SekishoError(
        'reload-too-slow',
        `the configuration was not read within ${LIMIT_MS / 1000} s; is a file of it on a disk that hangs?`,
      ),
  });
  if ('code' in found) throw new SekishoError(found.code, found.message);
  return found;
}
