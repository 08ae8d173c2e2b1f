import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { load } from './config/load.ts';
import { packing, unpacking } from './config/portable.ts';
import { SekishoError } from './core/errors.ts';
import { finish } from './core/work.ts';
import { examine } from './examine.ts';
import type { Errand, Found } from './examine-aside.ts';

giveWay();
/** The thread of `examineAside`. A fault of ours ends it with an error, which the other side throws. */
parentPort?.postMessage(run(workerData as Errand));

/** Where cores are few, exchanges come first. On Linux alone is this about the thread, and not the whole process. */
function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(constants.priority.PRIORITY_LOW);
  } catch {
    // A sandbox that forbids it is no reason to refuse a reload, which is only less considerate then.
  }
}

function run({ file, before }: Errand): Found {
  try {
    const { loaded, differences } = examine(load(file), finish(unpacking(before)), Date.now());
    const { config, ...rest } = loaded;
    return { loaded: rest, config: finish(packing(config)), differences };
  } catch (error) {
    if (!(error instanceof SekishoError)) throw error;
    return { code: error.code, message: error.message };
  }
}
