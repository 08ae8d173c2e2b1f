import { Command } from 'commander';
import { applyRangesCommand } from './ranges-apply.ts';
import { planRangesCommand } from './ranges-plan.ts';
import { rangesPolicyCommand } from './ranges-policy.ts';
import { showRangesCommand } from './ranges-show.ts';
import { watchRangesCommand } from './ranges-watch.ts';

export function rangesCommand(): Command {
  return new Command('ranges')
    .description('allow-lists elsewhere that follow published address ranges')
    .addCommand(showRangesCommand())
    .addCommand(planRangesCommand())
    .addCommand(applyRangesCommand())
    .addCommand(watchRangesCommand())
    .addCommand(rangesPolicyCommand());
}
