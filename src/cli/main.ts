import { Command, CommanderError } from 'commander';
import { SekishoError } from '../core/errors.ts';

/** Every command's exit code: done, refused or found, wrong usage. */
export const EXIT = { done: 0, found: 1, usage: 2 } as const;

/** One entry per file in this folder. A command sets `process.exitCode` and returns; it never calls `process.exit`. */
const COMMANDS: readonly (() => Command)[] = [];

export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('sekisho')
    .description('The checkpoint for workloads that have no fixed address.')
    .showHelpAfterError('(--help shows the usage with an example)');
  for (const command of COMMANDS) program.addCommand(command());
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync(argv, { from: 'user' });
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
