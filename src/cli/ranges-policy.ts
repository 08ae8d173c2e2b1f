import { Command } from 'commander';
import { load } from '../config/load.ts';
import { rightsOf } from '../ranges/rights.ts';
import { chosenTargets, type RangesCommandOptions } from './ranges-common.ts';

export function rangesPolicyCommand(): Command {
  return new Command('policy')
    .description('print the least rights in IAM that the targets need, as policy documents')
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .option('--target <name...>', 'these targets alone')
    .option('--function <name>', 'those of the Lambda function that applies: its log as well')
    .option('--json', 'print one JSON array: who needs which policy')
    .addHelpText('after', '\nExample:\n  sekisho ranges policy --target rds-tokyo\n')
    .exitOverride()
    .action((options: RangesCommandOptions & { function?: string }, command: Command) => {
      const { config } = load(options.config, { env: process.env });
      const rights = rightsOf(chosenTargets(config, options, command), options.function);
      process.stdout.write(
        options.json
          ? `${JSON.stringify(rights)}\n`
          : rights
              .map(({ role, policy }) => {
                const who = role ?? 'whoever runs sekisho ranges';
                return `# for ${who}\n${JSON.stringify(policy, null, 2)}\n`;
              })
              .join('\n') || 'no target needs any right in IAM\n',
      );
    });
}
