import { dirname } from 'node:path';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { SetConfig } from './config.ts';
import { explain } from './explain.ts';
import type { Merged } from './merge.ts';
import type { Names } from './names.ts';
import { toPublishedSet } from './published-sets.ts';
import { parseHostFile, type SetEntry, setsSchema, type WrittenSets } from './sets.ts';
import { besides, type FileReader } from './surroundings.ts';

/** Reads the sets with their files, and makes their addresses known to `names`. */
export function readSets(
  merged: Merged,
  names: Names,
  reader: FileReader,
  faults: Diagnostic[],
): ReadonlyMap<string, SetConfig> {
  const sets = new Map<string, SetConfig>();
  const parsed = setsSchema.safeParse(merged.map('sets'));
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({
      ...issue,
      path: ['sets', ...issue.path],
    }));
    explain(issues, merged, faults);
    return sets;
  }
  for (const [name, written] of Object.entries(parsed.data)) {
    const at = merged.at(['sets', name], 'key');
    if (written.ranges !== undefined) {
      const published = toPublishedSet(written.ranges, merged, ['sets', name, 'ranges']);
      sets.set(name, { entries: [], published, at });
      names.published.add(name);
      continue;
    }
    const entries = readEntries(name, written, merged, reader, faults);
    sets.set(name, { entries, at });
    names.networks.set(
      name,
      entries.flatMap((entry) => (entry.kind === 'network' ? [entry.cidr] : [])),
    );
  }
  return sets;
}

function readEntries(
  name: string,
  { hosts = [], addresses = [] }: WrittenSets[string],
  merged: Merged,
  reader: FileReader,
  faults: Diagnostic[],
): SetEntry[] {
  if (Array.isArray(hosts)) return [...hosts, ...addresses];
  const at = merged.at(['sets', name, 'hosts', 'file']);
  const path = besides(dirname(at.file), hosts.file);
  const text = reader.read(path, at);
  const read = parseHostFile(path, text ?? '');
  for (const fault of read.faults) faults.push(fault);
  return [...read.entries, ...addresses];
}
