import type { Writable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { Command } from 'commander';
import pc from 'picocolors';
import type { Colors } from 'picocolors/types.js';
import type { WhyReport } from '../admin/why.ts';
import { printable } from '../audit/printable.ts';
import { type AdminClient, findAdmin } from './admin-client.ts';

export function whyCommand(): Command {
  return new Command('why')
    .description(
      'explain one exchange: what happened, the nearest rule, the lines that would allow it',
    )
    .argument(
      '<id>',
      'the id in the refusal: its status line, its Sekisho-Exchange header, or the record',
    )
    .option('-c, --config <file>', 'the configuration of the gateway', 'sekisho.yaml')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  sekisho why 019ab0c4-2f1e-7c3a-9d52-1b7f0a3c5e88\n')
    .action(async (id: string, options: { config: string; json?: true }) => {
      await printWhy(await findAdmin(options.config), id, options.json === true, process.stdout);
    });
}

export async function printWhy(
  admin: AdminClient,
  id: string,
  asJson: boolean,
  output: Writable & { isTTY?: boolean },
): Promise<void> {
  const report = (await json(await admin.get(`/v1/why/${encodeURIComponent(id)}`))) as WhyReport;
  const colors = pc.createColors(output.isTTY === true && pc.isColorSupported);
  output.write(asJson ? `${JSON.stringify(report)}\n` : whyText(report, colors));
}

/** For a person: from what happened to what to do about it. */
function whyText(report: WhyReport, colors: Colors): string {
  const sections = [
    [colors.bold(printable(report.summary)), printable(report.says)],
    factsOf(report).map(([name, value]) => `${name.padEnd(14)}${printable(value)}`),
    remedyOf(report),
    report.samePolicy ? [] : ['The policy has changed since: the rules are those of today.'],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}

function factsOf({ id, exchange, nearest, contact }: WhyReport): [string, string][] {
  const { time, gateway, listener, client, principal, identifiedBy } = exchange;
  const { action, destination, path, address, exit, parent } = exchange;
  const facts: [string, string | null][] = [
    ['exchange', id],
    ['time', time],
    ['principal', principal === null ? 'nobody identified' : `${principal} (by ${identifiedBy})`],
    ['client', `${client}, on listener ${listener} of ${gateway}`],
    ['asked for', `${action} ${destination ?? '-'}${path ?? ''}`],
    ['address', address],
    ['exit', exit],
    ['parent proxy', parent?.name ?? null],
    ['nearest rule', nearest && `${nearest.rule} (${nearest.at}): ${nearest.why}`],
    ['contact', contact],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [[name, value]]));
}

function remedyOf({ wouldAllow, todo }: WhyReport): string[] {
  if (wouldAllow === null) return [todo];
  const lines = wouldAllow.yaml.trimEnd().split('\n');
  return [
    `This would allow it, ${wouldAllow.place}:`,
    '',
    ...lines.map((line) => `  ${printable(line)}`),
    ...(wouldAllow.note === undefined ? [] : ['', wouldAllow.note]),
  ];
}
