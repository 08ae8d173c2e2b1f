import { Command } from 'commander';
import { printable } from '../audit/printable.ts';
import { createLogger } from '../log.ts';
import type { Plan } from '../ranges/plan/plan.ts';
import { workOf } from '../ranges/plan/steps.ts';
import type { Failed } from '../ranges/ranges.ts';
import { EXIT } from './exit-codes.ts';
import { type Applied, applyAll } from './ranges-apply-all.ts';
import {
  addRangesOptions,
  chosenTargets,
  colorsFor,
  type RangesCommandOptions,
  withRanges,
} from './ranges-common.ts';
import { ProgressLine } from './ranges-progress.ts';
import { RangesRecord } from './ranges-record.ts';
import { errorReport } from './ranges-report.ts';

export function applyRangesCommand(): Command {
  const command = new Command('apply')
    .description('make targets hold what their sets say: add first, look, and only then remove')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nIt may be interrupted at any point: the next apply goes on. A second one at the same time stops.\n\nExample:\n  sekisho ranges apply --target rds-tokyo\n',
    );
  return addRangesOptions(command).action((options: RangesCommandOptions, command: Command) =>
    withRanges(options, async (ranges, loaded) => {
      const targets = chosenTargets(loaded.config, options, command);
      using _lock = ranges.lock();
      const record = new RangesRecord(loaded, createLogger(process.stderr));
      const progress = new ProgressLine(process.stderr);
      try {
        const applied = await applyAll(ranges, targets, record, (name, done, total) =>
          progress.show(`${name}: ${done} of ${total}`),
        );
        progress.end();
        process.stdout.write(options.json ? json(applied) : text(applied));
        process.exitCode = applied.every(isGood) ? EXIT.done : EXIT.found;
      } finally {
        progress.end();
        await record.close();
      }
    }),
  );
}

function isGood({ result, problems }: Applied): boolean {
  return !isFailedResult(result) && problems.length === 0;
}

function isFailedResult(result: Plan | Failed): result is Failed {
  return 'error' in result;
}

function json(applied: readonly Applied[]): string {
  const targets = applied.map(({ target, result, problems }) => ({
    target: target.name,
    kind: target.kind,
    ...(isFailedResult(result)
      ? { error: errorReport(result.error) }
      : {
          added: result.add.length,
          moved: result.move.length,
          removed: result.remove.length,
          kept: result.keep.length,
        }),
    problems: problems.map(errorReport),
  }));
  return `${JSON.stringify({ targets })}\n`;
}

function text(applied: readonly Applied[]): string {
  const colors = colorsFor(process.stdout);
  return applied
    .map(({ target, result, problems }) => {
      const said = isFailedResult(result)
        ? colors.red(`! ${printable(result.error.message)}`)
        : colors.green(doneText(result));
      const warned = problems.map(({ message }) => colors.red(`\n  ! ${printable(message)}`));
      return `${colors.bold(target.name)}  ${said}${warned.join('')}\n`;
    })
    .join('');
}

function doneText(plan: Plan): string {
  const { add, move, remove, keep } = plan;
  if (workOf(plan) === 0) return `nothing to change, ${keep.length} stay`;
  const moved = move.length > 0 ? `, ${move.length} moved` : '';
  return `${add.length} added${moved}, ${remove.length} removed, ${keep.length} stay`;
}
