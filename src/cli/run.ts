import { Command } from 'commander';
import { load } from '../config/load.ts';
import { examineAside } from '../examine-aside.ts';
import { createLogger, type Logger } from '../log.ts';
import type { Primary } from '../primary.ts';
import { startSupervised } from '../processes/supervised.ts';
import { createNotifier, type Notifier } from '../systemd.ts';

const REFUSED = 'accepting by the policy before: the last reload was refused, the log says why';

export function runCommand(): Command {
  return new Command('run')
    .description('run the gateway until SIGTERM or Ctrl-C')
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .addHelpText('after', '\nExample:\n  sekisho run -c /etc/sekisho/sekisho.yaml\n')
    .action(async (options: { config: string }) => {
      const gateway = await runGateway(options.config);
      await gateway.stopped;
    });
}

/** A gateway that stops in order on SIGTERM and SIGINT, and at once on the second. */
export async function runGateway(file: string): Promise<Primary> {
  const log = createLogger(process.stderr);
  const { env } = process;
  const notifier = createNotifier({ env, log });
  const starting = startSupervised(load(file), {
    env,
    log,
    reread: (before) => examineAside(file, before),
  });
  // From the beginning: a signal that nobody listens to ends the process, whatever it was meant to do.
  listenToSignals(starting, log, notifier);
  const gateway = await starting;
  notifier.ready('accepting');
  notifier.watch();
  return gateway;
}

function listenToSignals(starting: Promise<Primary>, log: Logger, notifier: Notifier): void {
  // A start that fails is told by whoever waits for it.
  const started = (act: (gateway: Primary) => unknown) => void starting.then(act, () => undefined);
  process.on('SIGHUP', () => {
    started(async (gateway) => {
      notifier.reloading();
      notifier.ready((await gateway.reload()) ? 'accepting' : REFUSED);
    });
    started((gateway) => gateway.reopenLogs());
  });
  const stop = (signal: NodeJS.Signals) => {
    for (const again of STOPPING) process.off(again, stop).once(again, () => process.exit(1));
    log.info({ signal }, 'stopping: exchanges may finish; a second signal ends at once');
    notifier.stopping('draining');
    // Ctrl-C is a person at a terminal: no balancer waits for notice.
    started((gateway) => gateway.stop({ notice: signal === 'SIGTERM' }));
  };
  for (const signal of STOPPING) process.on(signal, stop);
}

const STOPPING = ['SIGTERM', 'SIGINT'] as const;
