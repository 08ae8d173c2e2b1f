import { Command } from 'commander';
import { load } from '../config/load.ts';
import { createLogger } from '../log.ts';
import type { Primary } from '../primary.ts';
import { startSupervised } from '../processes/supervised.ts';

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
  const loadAgain = () => load(file, { env });
  const gateway = await startSupervised(loadAgain(), { env, log, loadAgain });
  process.on('SIGHUP', () => {
    void gateway.reload();
    void gateway.reopenLogs();
  });
  const stop = (signal: NodeJS.Signals) => {
    process.once(signal, () => process.exit(1));
    log.info({ signal }, 'stopping: exchanges may finish; a second signal ends at once');
    // Ctrl-C is a person at a terminal: no balancer waits for notice.
    void gateway.stop({ notice: signal === 'SIGTERM' });
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  return gateway;
}
