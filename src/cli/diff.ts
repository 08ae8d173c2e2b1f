import { Command } from 'commander';
import pc from 'picocolors';
import type { Config } from '../config/config.ts';
import { type Difference, diff } from '../policy/policy.ts';
import { EXIT } from './exit-codes.ts';
import { loadRecalled, tellListWarnings } from './recalled.ts';

export function diffCommand(): Command {
  return new Command('diff')
    .description('tell who gains and who loses what by a change of policy')
    .argument('<old>', 'the configuration as it was')
    .argument('<new>', 'the configuration as it will be')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  sekisho diff running.yaml sekisho.yaml\n')
    .action(async (before: string, after: string, options: { json?: true }) => {
      const differences = diff(await read(before), await read(after), Date.now());
      process.stdout.write(
        options.json ? `${JSON.stringify({ differences })}\n` : differencesText(differences),
      );
      process.exitCode = differences.length === 0 ? EXIT.done : EXIT.found;
    });
}

async function read(file: string): Promise<Config> {
  const loaded = await loadRecalled(file, { env: process.env });
  tellListWarnings(loaded);
  return loaded.config;
}

const VERBS = {
  gains: ['+', 'may now reach'],
  loses: ['-', 'may no longer reach'],
  changes: ['~', 'reaches in another way'],
} as const;

function differencesText(differences: readonly Difference[]): string {
  const colors = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR);
  const paint = { gains: colors.green, loses: colors.red, changes: colors.yellow };
  return differences
    .map(({ change, principal, destination, request, because }) => {
      const [sign, verb] = VERBS[change];
      const where = request === undefined ? destination : `${destination} with ${request}`;
      return `${paint[change](sign)} ${principal} ${verb} ${where} (${because})\n`;
    })
    .join('');
}
