import { Command, Option } from 'commander';
import type { DecisionEvent, OutcomeEvent } from '../audit/event.ts';
import {
  addFilterOptions,
  addRecordOptions,
  type FilterOptions,
  type RecordOptions,
  searchRecord,
  TYPES,
  toFilter,
} from './audit-record.ts';
import { parseEvent } from './audit-search.ts';
import { type Output, print } from './output.ts';

type ExportOptions = RecordOptions & FilterOptions & { readonly format: 'csv' | 'json' };

export function exportCommand(): Command {
  const command = new Command('export')
    .description('hand events of the record over: CSV for a spreadsheet, or JSON Lines')
    .addOption(
      new Option('--format <format>', 'how').choices(['csv', 'json']).makeOptionMandatory(),
    )
    .addHelpText(
      'after',
      '\nExample:\n  sekisho audit export --format csv --since 2026-10-01 --until 2026-10-31 > october.csv\n',
    )
    .exitOverride()
    .action((options: ExportOptions) => exportAudit(options, process.stdout));
  return addFilterOptions(addRecordOptions(command));
}

export async function exportAudit(options: ExportOptions, output: Output): Promise<void> {
  const { config, dir, format, ...filter } = options;
  const types = format === 'json' ? TYPES : (['outcome'] as const);
  const found = searchRecord(options, toFilter(filter, types));
  await print(format === 'json' ? jsonLines(found) : csv(found), output);
}

async function* jsonLines(found: AsyncIterable<string[]>): AsyncGenerator<string> {
  for await (const lines of found) yield `${lines.join('\n')}\n`;
}

type Cell = string | number | boolean | null | undefined;

/** By column. */
const CELLS: Readonly<Record<string, (event: OutcomeEvent | DecisionEvent) => Cell>> = {
  time: ({ time }) => time,
  type: ({ type }) => type,
  exchange: ({ id }) => id,
  gateway: ({ gateway }) => gateway,
  listener: ({ listener }) => listener,
  client: ({ client }) => client,
  principal: ({ principal }) => principal,
  identifiedBy: ({ identifiedBy }) => identifiedBy,
  action: ({ action }) => action,
  destination: ({ destination }) => destination,
  path: ({ path }) => path,
  address: ({ address }) => address,
  external: (event) => event.class.external,
  effect: ({ decision }) => decision?.effect,
  reason: ({ decision }) => decision?.reason,
  rule: ({ decision }) => decision?.rule,
  mode: ({ decision }) => decision?.mode,
  stage: ({ decision }) => decision?.stage,
  exit: ({ exit }) => exit,
  parent: ({ parent }) => parent?.name,
  policy: ({ policy }) => policy,
  status: (event) => ended(event)?.status,
  error: (event) => ended(event)?.error,
  bytesUp: (event) => ended(event)?.bytesUp,
  bytesDown: (event) => ended(event)?.bytesDown,
  durationMs: (event) => ended(event)?.durationMs,
};

function ended(event: OutcomeEvent | DecisionEvent): OutcomeEvent['outcome'] | undefined {
  return event.type === 'outcome' ? event.outcome : undefined;
}

/** RFC 4180. Events that are of no exchange have no row. */
async function* csv(found: AsyncIterable<string[]>): AsyncGenerator<string> {
  yield `${Object.keys(CELLS).join(',')}\r\n`;
  for await (const lines of found) yield lines.map(csvRow).join('');
}

function csvRow(line: string): string {
  const event = parseEvent(line);
  if (event === undefined || !('decision' in event)) return '';
  const cells = Object.values(CELLS).map((read) => csvCell(read(event)));
  return `${cells.join(',')}\r\n`;
}

/** A spreadsheet runs what begins like a formula, and clients choose paths and names. */
function csvCell(value: Cell): string {
  if (typeof value !== 'string') return String(value ?? '');
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
