import { Command, CommanderError } from 'commander';
import { SekishoError } from '../core/errors.ts';
import { agentCommand, withLongOptions } from './agent.ts';
import { auditCommand } from './audit.ts';
import { caCommand } from './ca.ts';
import { checkCommand } from './check.ts';
import { diffCommand } from './diff.ts';
import { EXIT } from './exit-codes.ts';
import { exitsCommand } from './exits.ts';
import { explainCommand } from './explain.ts';
import { lambdaCommand } from './lambda.ts';
import { rangesCommand } from './ranges.ts';
import { runCommand } from './run.ts';
import { schemaCommand } from './schema.ts';
import { statusCommand } from './status.ts';
import { tryCommand } from './try.ts';
import { whyCommand } from './why.ts';

/** One entry per file in this folder. A command sets `process.exitCode` and returns; it never calls `process.exit`. */
const COMMANDS: readonly (() => Command)[] = [
  agentCommand,
  auditCommand,
  caCommand,
  checkCommand,
  diffCommand,
  exitsCommand,
  explainCommand,
  lambdaCommand,
  rangesCommand,
  runCommand,
  schemaCommand,
  statusCommand,
  tryCommand,
  whyCommand,
];

export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('sekisho')
    .description('The checkpoint for workloads that have no fixed address.')
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows the usage with an example)');
  for (const command of COMMANDS) program.addCommand(command());
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync(withLongOptions(argv), { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  // commander has already printed its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (!(error instanceof SekishoError)) throw error;
  process.stderr.write(`sekisho: ${error.message}\n`);
  return EXIT.found;
}
