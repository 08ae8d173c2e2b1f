import { Command } from 'commander';
import { load } from '../config/load.ts';
import { createLogger } from '../log.ts';
import { SnsReceiver } from '../ranges/sns/receiver.ts';
import { chosenTargets, type RangesCommandOptions, withRanges } from './ranges-common.ts';
import { RangesRecord } from './ranges-record.ts';
import { RangesWatch } from './ranges-rounds.ts';
import { startWatchPages } from './ranges-watch-pages.ts';

export function watchRangesCommand(): Command {
  return new Command('watch')
    .description('apply again and again, and tell by metrics and readiness how that goes')
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .option('--target <name...>', 'these targets alone')
    .addHelpText('after', '\nExample:\n  sekisho ranges watch -c /etc/sekisho/sekisho.yaml\n')
    .exitOverride()
    .action(async (options: RangesCommandOptions, command: Command) => {
      const log = createLogger(process.stderr);
      const loaded = load(options.config, { env: process.env });
      const targets = chosenTargets(loaded.config, options, command);
      const record = new RangesRecord(loaded, log);
      try {
        await withRanges(options, async (ranges, { config: { ranges: config } }, signal) => {
          const watch = new RangesWatch({ ranges, targets, record, log, config });
          const receiver =
            config.sns &&
            new SnsReceiver({
              topic: config.sns.topic,
              fetch: (url) => ranges.fetchText(url),
              now: Date.now,
              announced: (one) => watch.announce(one),
            });
          const pages = await startWatchPages(config.watch, { watch, receiver, log });
          log.info({ bind: `${pages.bind.host}:${pages.bind.port}` }, 'watching ranges');
          await watch.run(signal).finally(() => pages.close());
          log.info({}, 'stopped');
        });
      } finally {
        await record.close();
      }
    });
}
