import { parentPort, workerData } from 'node:worker_threads';
import { load } from './config/load.ts';
import { fromPortable, toPortable } from './config/portable.ts';
import { SekishoError } from './core/errors.ts';
import { examine } from './examine.ts';
import type { Errand, Found } from './examine-aside.ts';

/** The thread of `examineAside`. A fault of ours ends it with an error, which the other side throws. */
parentPort?.postMessage(run(workerData as Errand));

function run({ file, before }: Errand): Found {
  try {
    const { loaded, differences } = examine(load(file), fromPortable(before), Date.now());
    const { config, ...rest } = loaded;
    return { loaded: rest, config: toPortable(config), differences };
  } catch (error) {
    if (!(error instanceof SekishoError)) throw error;
    return { code: error.code, message: error.message };
  }
}
