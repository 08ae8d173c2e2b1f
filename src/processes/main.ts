import { createLogger } from '../log.ts';
import { WorkerProcess } from './worker-process.ts';

/** A worker process: everything it does, its primary asks for. */
const number = Number(process.argv[2]);
const log = createLogger(process.stderr, { worker: number });
// A terminal sends its signals to the whole group; what they mean is for the primary to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'a fault of the gateway itself ends this worker');
  process.exit(1);
});
new WorkerProcess(process, log).serve();
