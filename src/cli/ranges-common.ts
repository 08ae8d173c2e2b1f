import { type Command, Option } from 'commander';
import pc from 'picocolors';
import type { Colors } from 'picocolors/types.js';
import type { Config } from '../config/config.ts';
import { type Loaded, load } from '../config/load.ts';
import type { RangesTargetConfig } from '../config/ranges-config.ts';
import { quote } from '../core/diagnostic.ts';
import { Ranges } from '../ranges/ranges.ts';
import { RangesError } from '../ranges/ranges-error.ts';
import type { Output } from './output.ts';

export interface RangesCommandOptions {
  readonly config: string;
  readonly target?: readonly string[];
  readonly acceptShrink?: true;
  readonly json?: true;
}

/** What every command on targets takes. */
export function addRangesOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .option('--target <name...>', 'these targets alone')
    .addOption(
      new Option('--accept-shrink', 'take lists that shrank by more than the configuration has'),
    )
    .exitOverride();
}

export function chosenTargets(
  { ranges }: Config,
  { target }: RangesCommandOptions,
  command: Command,
): readonly RangesTargetConfig[] {
  const unknown = target?.find((name) => !ranges.targets.some((one) => one.name === name));
  if (unknown !== undefined) {
    const known = ranges.targets.map(({ name }) => name).join(', ');
    command.error(`error: no target is called ${quote(unknown)}; there are ${known || 'none'}`);
  }
  if (ranges.targets.length === 0) command.error('error: the configuration has no targets');
  return ranges.targets.filter(({ name }) => target === undefined || target.includes(name));
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Works with the ranges of a configuration until that is done, or a signal interrupts it.
 *
 * @throws RangesError `ranges-unavailable` when it was interrupted
 */
export async function withRanges<Result>(
  options: RangesCommandOptions,
  work: (ranges: Ranges, loaded: Loaded, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const loaded = load(options.config, { env: process.env });
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  for (const signal of SIGNALS) process.once(signal, stop);
  const { signal } = stopping;
  const ranges = new Ranges(loaded.config, { signal, acceptShrink: options.acceptShrink === true });
  try {
    return await work(ranges, loaded, signal);
  } catch (error) {
    if (!signal.aborted || error instanceof RangesError) throw error;
    const message =
      'interrupted: what is wanted and was there still is, and the next apply goes on';
    throw new RangesError('ranges-unavailable', message, { cause: error });
  } finally {
    for (const name of SIGNALS) process.off(name, stop);
    await ranges.close();
  }
}

export function colorsFor(output: Output): Colors {
  return pc.createColors(output.isTTY === true && pc.isColorSupported);
}
