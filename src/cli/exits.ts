import { Command } from 'commander';
import { verifyExitsCommand } from './exits-verify.ts';

export function exitsCommand(): Command {
  return new Command('exits')
    .description('the ways out, and the addresses that the world sees')
    .addCommand(verifyExitsCommand());
}
