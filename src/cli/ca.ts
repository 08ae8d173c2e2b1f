import { Command } from 'commander';
import { caInstallHelpCommand } from './ca-install-help.ts';
import { caShowCommand } from './ca-show.ts';

export function caCommand(): Command {
  return new Command('ca')
    .description('the CA that intercepted workloads have to trust')
    .addCommand(caShowCommand())
    .addCommand(caInstallHelpCommand());
}
