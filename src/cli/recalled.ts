import { type Loaded, load } from '../config/load.ts';
import type { Surroundings } from '../config/surroundings.ts';
import { diagnosticText, sortDiagnostics } from '../core/diagnostic.ts';
import { recallLists } from '../published/complete.ts';
import { findListWarnings } from '../published/warnings.ts';

/**
 * A configuration with what the last good copies of its lists have: nothing is fetched to look at a policy. What is missing or
 * too old is among the warnings.
 */
export async function loadRecalled(file: string, given: Partial<Surroundings>): Promise<Loaded> {
  const loaded = load(file, given);
  const config = await recallLists(loaded.config);
  const found = findListWarnings(config, given.now ?? Date.now());
  return { ...loaded, config, warnings: sortDiagnostics([...loaded.warnings, ...found]) };
}

/** Tells on standard error what the copies lack, for commands whose output has no place for it. */
export function tellListWarnings({ config }: Loaded): void {
  for (const one of findListWarnings(config, Date.now()))
    process.stderr.write(`${diagnosticText(one)}\n`);
}
