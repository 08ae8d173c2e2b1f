import { Command } from 'commander';
import type { RangesTargetConfig } from '../config/ranges-config.ts';
import { type Failed, isFailed, isPending, type Planned, type Ranges } from '../ranges/ranges.ts';
import { EXIT } from './exit-codes.ts';
import {
  addRangesOptions,
  chosenTargets,
  colorsFor,
  type RangesCommandOptions,
  withRanges,
} from './ranges-common.ts';
import { planReport, setReport, setsOf } from './ranges-report.ts';
import { setText, summaryText, targetText } from './ranges-text.ts';

/** For a pipeline that goes on only where there is something to approve. */
const PENDING = 2;

export function planRangesCommand(): Command {
  const command = new Command('plan')
    .description('tell what an apply would add, move and remove, and change nothing')
    .option('--exit-code', 'exit with 2 where there is something to change')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  sekisho ranges plan --target rds-tokyo --exit-code\n');
  return addRangesOptions(command).action(
    (options: RangesCommandOptions & { exitCode?: true }, command: Command) =>
      withRanges(options, async (ranges, { config }) => {
        const planned = await planAll(ranges, chosenTargets(config, options, command));
        process.stdout.write(options.json ? json(planned) : text(planned));
        const isBad = (one: Planned | Failed) =>
          isFailed(one) || one.plan.shortage.length > 0 || one.sets.some((set) => set.problem);
        const isOk = !planned.some(isBad);
        const pending = planned.some((one) => !isFailed(one) && isPending(one));
        process.exitCode = !isOk ? EXIT.found : options.exitCode && pending ? PENDING : EXIT.done;
      }),
  );
}

async function planAll(
  ranges: Ranges,
  targets: readonly RangesTargetConfig[],
): Promise<(Planned | Failed)[]> {
  const planned: (Planned | Failed)[] = [];
  for (const wanted of await ranges.want(targets)) {
    planned.push(isFailed(wanted) ? wanted : await ranges.plan(wanted));
  }
  return planned;
}

function json(planned: readonly (Planned | Failed)[]): string {
  const sets = setsOf(planned).map(setReport);
  return `${JSON.stringify({ sets, targets: planned.map(planReport) })}\n`;
}

function text(planned: readonly (Planned | Failed)[]): string {
  const colors = colorsFor(process.stdout);
  const blocks = [
    ...setsOf(planned).map((set) => setText(set, colors)),
    ...planned.map((one) => targetText(one, colors)),
    summaryText(planned),
  ];
  return `${blocks.join('\n\n')}\n`;
}
