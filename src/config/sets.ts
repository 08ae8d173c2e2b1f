import { z } from 'zod';
import { type Diagnostic, Fault } from '../core/diagnostic.ts';
import type { HostPattern, NetworkPattern } from './config.ts';
import { parseNetwork } from './networks.ts';
import { parseSetEntry } from './patterns.ts';
import { publishedSetSchema } from './published-sets.ts';
import { ALWAYS, line, list, named, parsed, says, section } from './shape.ts';

export type SetEntry = HostPattern | NetworkPattern;

const hostList = list(parsed(parseSetEntry));
const hostFile = section({ file: line }, [
  'this is neither a list nor a file',
  'write [ … ] or { file: PATH }',
]);
const network = parsed((text): NetworkPattern => ({ kind: 'network', cidr: parseNetwork(text) }));

const set = section({
  hosts: z.union([hostList, hostFile]).optional(),
  addresses: list(network).optional(),
  ranges: publishedSetSchema.optional(),
}).superRefine(({ hosts, addresses, ranges }, context) => {
  const listed = hosts !== undefined || addresses !== undefined;
  if (listed !== (ranges !== undefined)) return;
  const message = listed
    ? says('a set that follows ranges lists nothing itself', 'make two sets of it')
    : says('a set without hosts and addresses holds nothing', 'write hosts or addresses');
  context.addIssue({ code: 'custom', message });
}, ALWAYS);

export const setsSchema = named(set).prefault({});
export type WrittenSets = z.output<typeof setsSchema>;

/** Parses a list of hosts: one to a line, comments from `#` on. */
export function parseHostFile(
  file: string,
  text: string,
): { entries: SetEntry[]; faults: Diagnostic[] } {
  const entries: SetEntry[] = [];
  const faults: Diagnostic[] = [];
  text.split('\n').forEach((row, i) => {
    const content = row.trimEnd().replace(/(?:^|\s+)#.*$/, '');
    const host = content.trimStart();
    if (host === '') return;
    try {
      entries.push(parseSetEntry(host));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const column = content.length - host.length + 1;
      faults.push(error.at({ file, line: i + 1, column }));
    }
  });
  return { entries, faults };
}
