import { Command, InvalidArgumentError } from 'commander';
import { quote } from '../core/diagnostic.ts';
import { Ip } from '../core/ip.ts';
import type { RangeSet } from '../ranges/range-sets.ts';
import { RangesError } from '../ranges/ranges-error.ts';
import { EXIT } from './exit-codes.ts';
import { colorsFor, type RangesCommandOptions, withRanges } from './ranges-common.ts';
import { setReport } from './ranges-report.ts';
import { setText } from './ranges-text.ts';

interface ShowOptions extends RangesCommandOptions {
  readonly contains?: Ip;
}

export function showRangesCommand(): Command {
  return new Command('show')
    .description('print what a set holds now: whose addresses, how many, and its networks')
    .argument('<set>', 'a set of the configuration')
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .option('--contains <ip>', 'whether this address lies in it, and in which network', parseIp)
    .option('--accept-shrink', 'take a list that shrank by more than the configuration has')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  sekisho ranges show tokyo-ec2 --contains 13.114.0.1\n\nWith --contains the exit code is 1 where the address does not lie in it.\n',
    )
    .exitOverride()
    .action((name: string, options: ShowOptions, command: Command) =>
      withRanges(options, async (ranges, { config }) => {
        if (!config.sets.has(name)) {
          const known = [...config.sets.keys()].join(', ');
          command.error(`error: no set is called ${quote(name)}; there are ${known || 'none'}`);
        }
        const set = (await ranges.readSets([name])).get(name);
        if (set === undefined || set instanceof RangesError) throw set;
        const isIn = options.contains === undefined ? undefined : answer(set, options.contains);
        process.stdout.write(options.json ? json(set, isIn) : text(set, isIn));
        process.exitCode = isIn?.network === null || set.problem ? EXIT.found : EXIT.done;
      }),
    );
}

function parseIp(text: string): Ip {
  const ip = Ip.parse(text);
  if (ip === undefined) throw new InvalidArgumentError('Write one IP address.');
  return ip;
}

interface Answer {
  readonly address: string;
  readonly network: string | null;
}

function answer(set: RangeSet, ip: Ip): Answer {
  const network = set.networks.find((one) => one.contains(ip));
  return { address: ip.text, network: network?.text ?? null };
}

function json(set: RangeSet, contains: Answer | undefined): string {
  return `${JSON.stringify({ ...setReport(set), ...(contains && { contains }) })}\n`;
}

function text(set: RangeSet, contains: Answer | undefined): string {
  const colors = colorsFor(process.stdout);
  const head = setText(set, colors);
  if (contains === undefined) {
    return `${[head, '', ...set.networks.map(({ text }) => text)].join('\n')}\n`;
  }
  const { network, address } = contains;
  const said =
    network === null
      ? colors.red(`${address} does not lie in it`)
      : colors.green(`${address} lies in ${network}`);
  return `${head}\n\n${said}\n`;
}
