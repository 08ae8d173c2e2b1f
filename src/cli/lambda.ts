import { Command } from 'commander';
import { bundleCommand } from './lambda-bundle.ts';
import { lambdaPolicyCommand } from './lambda-policy.ts';
import { serveCommand } from './lambda-serve.ts';

export function lambdaCommand(): Command {
  return new Command('lambda')
    .description('functions: build them, the rights that they need, run them behind HTTP')
    .addCommand(bundleCommand())
    .addCommand(lambdaPolicyCommand())
    .addCommand(serveCommand());
}
