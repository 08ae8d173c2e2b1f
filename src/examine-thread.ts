import { parentPort, workerData } from 'node:worker_threads';
import { giveWay } from './aside.ts';
import { load } from './config/load.ts';
import { packing, unpacking } from './config/portable.ts';
import { SekishoError } from './core/errors.ts';
import { finish } from './core/work.ts';
import { examine, examineRules } from './examine.ts';
import type { Errand, Found } from './examine-aside.ts';
import { completeLists } from './published/complete.ts';

giveWay();
/** The thread of `examineAside`. A fault of ours ends it with an error, which the other side throws. */
parentPort?.postMessage(await run(workerData as Errand));

async function run(errand: Errand): Promise<Found> {
  const now = Date.now();
  try {
    if ('listed' in errand) {
      examineRules(finish(unpacking(errand.listed)), now);
      return { holds: true };
    }
    const read = load(errand.file);
    const complete = { ...read, config: await completeLists(read.config) };
    const { loaded, differences } = examine(complete, finish(unpacking(errand.before)), now);
    const { config, ...rest } = loaded;
    return { loaded: rest, config: finish(packing(config)), differences };
  } catch (error) {
    if (!(error instanceof SekishoError)) throw error;
    return { code: error.code, message: error.message };
  }
}
