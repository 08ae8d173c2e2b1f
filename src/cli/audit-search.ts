import { Command } from 'commander';
import pc from 'picocolors';
import type { AuditEvent } from '../audit/event.ts';
import { printable } from '../audit/printable.ts';
import {
  addFilterOptions,
  addRecordOptions,
  type FilterOptions,
  type RecordOptions,
  searchRecord,
  TYPES,
  toFilter,
} from './audit-record.ts';
import { eventLine } from './event-line.ts';
import { type Output, print } from './output.ts';

type SearchOptions = RecordOptions & FilterOptions & { readonly json?: true };

export function searchCommand(): Command {
  const command = new Command('search')
    .description('find events of the record; reads its files, no gateway')
    .option('--json', 'print every event as it stands in the record: JSON Lines')
    .addHelpText(
      'after',
      '\nExample:\n  sekisho audit search --destination .example.com --effect deny --since 7d\n',
    )
    .exitOverride()
    .action((options: SearchOptions) => search(options, process.stdout));
  return addFilterOptions(addRecordOptions(command));
}

export async function search(options: SearchOptions, output: Output): Promise<void> {
  const { config, dir, json, ...filter } = options;
  const types = json ? TYPES : TYPES.filter((type) => type !== 'decision');
  const found = searchRecord(options, toFilter(filter, types));
  const colors = pc.createColors(output.isTTY === true && pc.isColorSupported);
  const format = (line: string) => {
    if (json) return line;
    const event = parseEvent(line);
    // What somebody damaged is shown as it stands; `verify` tells about it.
    return event === undefined ? printable(line) : eventLine(event, colors);
  };
  await print(
    (async function* () {
      for await (const lines of found) yield `${lines.map(format).join('\n')}\n`;
    })(),
    output,
  );
}

export function parseEvent(line: string): AuditEvent | undefined {
  try {
    return JSON.parse(line) as AuditEvent;
  } catch {
    return undefined;
  }
}
